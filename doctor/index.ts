export type { Check } from './check.ts'
export { type DiagnoseOptions, type Diagnosis, diagnose } from './diagnose.ts'
export { checkFileSystem } from './output.ts'
export { bytes, count, duration, perSecond } from './units.ts'
