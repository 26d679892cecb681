export { type Action, commandLineUser, lastActions, recordAction } from './actions.ts'
export { type Appended, type AppendOptions, append, Lane, OutcomeUnknown, type Template } from './append.ts'
export { type Backlog, backlogOf } from './backlog.ts'
export { backoff } from './backoff.ts'
export type { Settled } from './commit.ts'
export {
  answer,
  ConnectionLost,
  connect,
  connected,
  DEADLINE,
  isPassing,
  plainError,
  RedisError,
} from './connection.ts'
export { type ConsumeOptions, consume } from './consume.ts'
export { type Control, control, controls, NotThere } from './control.ts'
export {
  type DeadLetter,
  deadLetter,
  deadLetters,
  deadPackages,
  type LetterRange,
  NotReplayable,
  newestDeadLetter,
  purgeDeadLetter,
  purgedPackages,
  replayDeadLetter,
  whyNotReplayable,
} from './dead-letters.ts'
export type { Events, StreamEvent } from './events.ts'
export { type Failure, HandlerTimeout, Reject, RetryLater } from './failure.ts'
export { findLine, type Line, lineAt, linesOf } from './find-line.ts'
export { type Flushed, flush } from './flush.ts'
export { forget } from './forget.ts'
export { type Forward, isBehind } from './forward.ts'
export type { Handler, HandlerContext, HandlerLog } from './handle.ts'
export type { Transition } from './history.ts'
export {
  Ingest,
  type Ingested,
  type IngestOptions,
  type IngestRequest,
  idsOf,
  KeyReused,
  MOST_MESSAGES,
  NotAppended,
} from './ingest.ts'
export { type ConsumerState, inspect, type StreamState } from './inspect.ts'
export { checkName, InvalidName, type Keys, keysOf } from './keys.ts'
export { letterDocument } from './letter-document.ts'
export { compareIds, filtered, type LetterFilter, meets, redisNow } from './letter-filter.ts'
export {
  isQuarantined,
  type Judge,
  type Judgement,
  MAX_REPLAYS,
  type Plan,
  type PlanOptions,
  planAll,
  replayJudge,
  type Unfit,
} from './letter-plan.ts'
export { type Life, Liveness } from './liveness.ts'
export { locate, type Place, type Whereabouts, whereaboutsOf } from './locate.ts'
export { measureConsumer } from './measure-consumer.ts'
export { measureAppends, measureProducer, type ProducerLoad } from './measure-producer.ts'
export { decode, type Message, type Past, Poison, packages, returnedOf } from './message.ts'
export { type OpenStream, openStream, StreamUnusable } from './open.ts'
export type { Outcome } from './outcome.ts'
export { OutputDamaged } from './output-file.ts'
export { pace, pause } from './pace.ts'
export { packageHistory, packageOfEntry } from './package-history.ts'
export { type PackageReport, packageReport, transitionText } from './package-report.ts'
export { type Entry, entriesOf } from './pages.ts'
export { Rates } from './rates.ts'
export { retryNow } from './retry-now.ts'
export { OutputRefused, ownerOf } from './run-folder.ts'
export { ConsumerIdInUse } from './session.ts'
export { DEFAULTS, type History, type Settings } from './settings.ts'
export type { Finished, Origin, Refused, Sink } from './sink.ts'
export {
  SOURCE_CALL,
  SOURCE_START,
  type SourceAppended,
  SourceCursor,
  type SourceOptions,
  type SourcePosition,
  type SourceRow,
  sourcePositions,
} from './source.ts'
export { lastTrims, type Trimmed, type TrimOptions, trim } from './trim.ts'
export { type DueInFiles, dueInFiles, unsettledAmong, waitingPackages } from './unsettled.ts'
export type { Vitals } from './vitals.ts'
export { type ReadyOptions, whenReady } from './when-ready.ts'
