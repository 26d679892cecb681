import { Argument, Command } from 'commander'
import { examples } from './conventions.ts'

export function completionCommand(): Command {
  const command = new Command('completion')
    .description('print a script that completes commands and options in a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      examples(
        ['completion bash', 'in ~/.bashrc: source <(conveyor completion bash)'],
        ['completion zsh', 'in ~/.zshrc, after compinit: source <(conveyor completion zsh)'],
        ['completion fish', 'in ~/.config/fish/config.fish: conveyor completion fish | source'],
      ),
    )
  return command.action(async shell => {
    const { completionScript } = await import('./completion.ts')
    process.stdout.write(completionScript(command.parent ?? command, shell))
  })
}
