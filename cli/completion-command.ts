import { Argument, Command } from 'commander'
import { examples } from './conventions.ts'

export function completionCommand(): Command {
  const command = new Command('completion')
    .description('print a script that completes commands and options in a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      examples(
        ['completion bash >> ~/.bashrc', 'from the next shell on'],
        ['completion zsh >> ~/.zshrc', 'after the line with compinit'],
        ['completion fish > ~/.config/fish/completions/conveyor.fish', ''],
      ),
    )
  return command.action(async shell => {
    const { completionScript } = await import('./completion.ts')
    process.stdout.write(completionScript(command.parent ?? command, shell))
  })
}
