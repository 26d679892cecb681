export { CannotAnalyse, type CannotAnalyseReason } from './cannot-analyse.ts'
export { FilesTally } from './files-tally.ts'
export { Following } from './following.ts'
export { type FormatOptions, formatReport } from './format-report.ts'
export type { UnreadableKind } from './line-kind.ts'
export { asciiJson, printable } from './printable.ts'
export type {
  ConsumerSummary,
  DeadPackages,
  DuplicatePackage,
  MissingRange,
  Report,
  TornLine,
  UnexpectedPackage,
  UnreadableLine,
} from './report.ts'
export { type Out, type RunValidateOptions, runValidate } from './run-validate.ts'
export { type ValidateOptions, validate } from './validate.ts'
export { exitCode } from './verdict.ts'
