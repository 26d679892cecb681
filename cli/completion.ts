import type { Command } from 'commander'

export type Shell = 'bash' | 'zsh' | 'fish'

/**
 * A script that completes the commands of a program, their options, and the values of those that allow certain ones.
 * It carries a table of the program's own commands: a shell that had to ask Node.js would answer a key after 0.2 s.
 */
export function completionScript(program: Command, shell: Shell): string {
  const table = `\n${rowsOf(program, '').join('\n')}\n`
  return SCRIPTS[shell].replaceAll('NAME', program.name()).replace('TABLE', () => quoted(table, shell))
}

/**
 * What can stand behind a command, a line each: `<path>|<word>|<values>|<description>`. `path` are the names that
 * lead to the command, each after a space; `values` is empty when none follows, `*` for any, or says which.
 */
function rowsOf(command: Command, path: string): string[] {
  const help = command.createHelp()
  const row = (word: string, values: string, description: string) =>
    [path, word, values, description.split('\n', 1)[0]].map(text => text?.replaceAll('|', '/')).join('|')
  const choices = command.registeredArguments[0]?.argChoices ?? []
  return [
    ...help.visibleCommands(command).map(one => row(one.name(), '', one.description())),
    ...choices.map(choice => row(choice, '', '')),
    ...help.visibleOptions(command).map(({ long, short, required, optional, argChoices, description }) => {
      const values = argChoices?.join(' ') ?? (required || optional ? '*' : '')
      return row(long ?? short ?? '', values, description)
    }),
    ...command.commands.flatMap(one => rowsOf(one, `${path} ${one.name()}`)),
  ]
}

function quoted(text: string, shell: Shell): string {
  if (shell === 'fish') return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** Each walks along the words before the cursor, then looks up what may come. Works with bash 3.2, as macOS has it. */
const SCRIPTS: Record<Shell, string> = {
  bash: `_NAME_table=TABLE
_NAME() {
  local at= word name values rest all= path cur="\${COMP_WORDS[COMP_CWORD]}"
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word != -* && $_NAME_table == *$'\\n'"$at|$word|"* ]] && at="$at $word"
  done
  while IFS='|' read -r path name values rest; do
    [[ $path == "$at" ]] || continue
    if [[ $values && $name == "\${COMP_WORDS[COMP_CWORD-1]}" ]]; then
      all="\${values#\\*}"
      break
    fi
    all="$all $name"
  done <<< "$_NAME_table"
  COMPREPLY=($(compgen -W "$all" -- "$cur"))
}
complete -o default -F _NAME NAME
`,
  zsh: `#compdef NAME
_NAME_table=TABLE
_NAME() {
  local at= word line
  local -a row all
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ $word != -* && $_NAME_table == *$'\\n'"$at|$word|"* ]] && at="$at $word"
  done
  for line in "\${(@f)_NAME_table}"; do
    row=("\${(@s:|:)line}")
    [[ -n $row[2] && $row[1] == "$at" ]] || continue
    if [[ -n $row[3] && $row[2] == "\${words[CURRENT-1]}" ]]; then
      [[ $row[3] == '*' ]] && _files || compadd -- \${=row[3]}
      return
    fi
    all+=("\${row[2]//:/\\\\:}:$row[4]")
  done
  _describe NAME all || _files
}
compdef _NAME NAME
`,
  fish: `set -g _NAME_table TABLE
function _NAME_complete
  set -l typed (commandline -opc)
  set -l rows (string split \\n -- $_NAME_table)
  set -l at ''
  for word in $typed[2..-1]
    string match -qr -- '^[^-]' $word; and string match -q -- "$at|$word|*" $rows; and set at "$at $word"
  end
  for line in $rows
    set -l row (string split '|' -- $line)
    test "$row[1]" = "$at" -a -n "$row[2]"; or continue
    if test -n "$row[3]" -a "$row[2]" = "$typed[-1]"
      test "$row[3]" = '*'; and __fish_complete_path (commandline -ct); or string split ' ' -- $row[3]
      return
    end
    printf '%s\\t%s\\n' $row[2] $row[4]
  end
end
complete -c NAME -f -a '(_NAME_complete)'
`,
}
