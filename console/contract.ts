/**
 * What the console's service and its page say to each other. Types only. Times are Unix ms by Redis' clock, durations
 * are ms, sizes are bytes, rates are per second, unless a field says otherwise. `null`: not known, or there is none.
 *
 * A refused request is answered with `application/problem+json`: {@link ProblemBody}.
 */

// ---- GET /api/about: {@link About}. Once, when the page begins.

export interface About {
  readonly version: string
  readonly stream: string
  readonly group: string
  /** Its URL, without a password. */
  readonly redis: string
  /** Whether the group's commands need `--stream` and `--group`: what they are when they are not said. */
  readonly target: Target
  /**
   * Whether changes are taken: `open`, `token` (each needs `Authorization: Bearer <CONSOLE_TOKEN>`), or `refused`, in
   * which case `why` says what to do.
   */
  readonly changes: 'open' | 'token' | 'refused'
  readonly why: string | null
  /** Where Jaeger shows traces, without a slash at its end. */
  readonly jaegerUrl: string
  /** Demonstration mode: faults may be injected. */
  readonly demo: boolean
  /** Letters that were replayed so often are in quarantine. */
  readonly maxReplays: number
}

/** Which stream and group, as far as they are not the usual ones; for {@link Action}'s command line (`commands.ts`). */
export interface Target {
  readonly stream?: string
  readonly group?: string
  readonly redisUrl?: string
}

// ---- GET /api/events: an SSE connection, one a tab, 16 at most; the 17th gets 503 and a problem.
//
// event: snapshot  data: Snapshot   on connect, and every second
// event: delta     data: Delta      in between, at most 4 events a second in all, only when something changed
// event: series    data: Series     once, on connect, after the first snapshot: what the charts have so far
//
// A page that heard nothing for 3 s says "stale since …"; it reconnects by itself (EventSource does, `retry: 1000`).
// While a page is hidden it closes its connection, and opens it again when it is shown.
// GET /api/snapshot answers with one Snapshot, for programs.

export interface Snapshot {
  /** Counts up with each snapshot of this service; a delta belongs to the snapshot of its number. */
  readonly number: number
  /** Unix ms by Redis' clock; by this machine's while Redis is away. */
  readonly at: number
  /** `unreachable`: Redis does not answer; `no-stream`: nothing was ever appended; `no-group`. Then `seen` is null. */
  readonly status: 'ok' | 'unreachable' | 'no-stream' | 'no-group'
  readonly seen: Seen | null
  readonly verdict: Verdict
  /** Bulk actions under way, and those that ended within the last minute; newest first. */
  readonly jobs: readonly Job[]
  /** Faults that were injected within the last 5 minutes, oldest first; for the charts. */
  readonly marks: readonly Mark[]
  /** Pages that are connected, this one included. */
  readonly viewers: number
}

/** What Redis knows, of one instant. */
export interface Seen {
  /** Name of the stream's present life. */
  readonly run: string
  /** Entries in the stream, and bytes of memory that it takes. */
  readonly length: number
  readonly memory: number | null
  /** Packages given out and settled per second, over the last few seconds. */
  readonly in: number | null
  readonly out: number | null
  readonly lag: Lag
  /** Ms from appended to committed, of packages committed of late. */
  readonly latency: Latency | null
  readonly pending: number
  readonly waiting: number
  /** Ms until the first of those that wait is due; negative when it is late. */
  readonly nextDue: number | null
  readonly deadLetters: DeadLetterCounts
  readonly balance: Balance
  /** Sums over the run: entries taken over from peers; outcomes refused; entries deleted before they were settled. */
  readonly claimed: number
  readonly fenced: number
  readonly lost: number
  /** Failed attempts that were to be tried again. */
  readonly retried: number
  /** Output committed and not known to be on disk. */
  readonly unflushed: number
  readonly consumers: readonly Consumer[]
  readonly trim: Trim
}

export interface Lag {
  readonly packages: number
  /** Age of the oldest entry that is not settled. */
  readonly ms: number
}

export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface DeadLetterCounts {
  /** Of this group and run, by reason. */
  readonly reasons: Readonly<Record<string, number>>
  /** Of all groups and runs of the stream. */
  readonly all: number
}

/** Where the packages are that were given out: the rest of the figures add up to the first. */
export interface Balance {
  readonly givenOut: number
  readonly committed: number
  readonly deadLetters: number
  readonly purged: number
  readonly waiting: number
  readonly pending: number
  readonly undelivered: number
}

export interface Consumer {
  readonly id: string
  /**
   * `live`: it beats; `silent`: it stands still; `dead`: so long that peers take over; `fenced`: a process whose
   * session was ended tried to settle within the last 10 s; `ended`: something of it is left; `gone`: it has no
   * session; `unknown`: not seen often enough yet.
   */
  readonly state: 'live' | 'silent' | 'dead' | 'fenced' | 'ended' | 'gone' | 'unknown'
  /** What it was told to do: take nothing more, or end when what it has is finished. */
  readonly control: 'paused' | 'draining' | null
  /** host/pid of the process that holds its session. */
  readonly holder: string | null
  readonly pending: number
  /** Age of its oldest pending entry, and how many times that was delivered. */
  readonly oldestPending: number | null
  readonly deliveries: number | null
  /** Packages whose line it has committed in this run; per second; part of all, 0 to 1. */
  readonly processed: number
  readonly perSecond: number | null
  readonly share: number
  /** Entries that it took over from peers; outcomes of its that were refused. */
  readonly claimed: number
  readonly fenced: number
  readonly redelivered: number | null
  readonly unflushed: number
  /** The last package in its output file; null also when the files cannot be read here. */
  readonly lastPackage: number | null
  readonly latency: Latency | null
}

export interface Trim {
  /** Oldest entry that is kept, and its age. */
  readonly first: { readonly entry: string; readonly age: number } | null
  /** Oldest entry that a recorded group still needs, where trimming stops, and which group that is. */
  readonly floor: { readonly entry: string; readonly age: number; readonly group: string } | null
  /** Recorded groups, and those of them that are not there: nothing is appended or trimmed then. */
  readonly groups: readonly string[]
  readonly missingGroups: readonly string[]
  /** Newest first, the last ten that removed something. */
  readonly last: readonly {
    readonly at: number
    readonly removed: number
    readonly length: number
    /** The group that kept it from removing more. */
    readonly pinnedBy: string | null
  }[]
}

/** Whether each package that was given out is in exactly one line, as the files and Redis say together. */
export interface Verdict {
  /**
   * `exact`: so far as can be judged, all is well; `violated`: see `offender`; `checking`: files are being read for the
   * first time; `unknown`: there is nothing to judge, or Redis is away, see `note`.
   */
  readonly state: 'exact' | 'violated' | 'checking' | 'unknown'
  /** `exactly once: produced 100 = committed 97 + waiting 2 + dead 1, gaps 0, duplicates 0`; purged, if there are any. */
  readonly text: string
  /** What it was judged by. `redis`: there are no files here to judge. */
  readonly by: 'files' | 'redis'
  /** What else is to be known, for people. */
  readonly note: string | null
  readonly run: string | null
  readonly produced: number
  readonly committed: number
  /** Undelivered, pending, or waiting for another attempt. */
  readonly waiting: number
  readonly dead: number
  readonly purged: number
  readonly gaps: number
  readonly duplicates: number
  /** Lines that are no package, packages above the last number, dead letters in a file: also violations. */
  readonly unreadable: number
  readonly unexpected: number
  readonly deadProcessed: number
  /** Packages 1 to this were judged for gaps. */
  readonly judgedTo: number
  /** Bytes of output judged, and still to be read. */
  readonly bytes: number
  readonly bytesLeft: number
  /** When it was judged last. */
  readonly at: number
  /** The first thing that is wrong. */
  readonly offender: Offender | null
}

export interface Offender {
  readonly kind: 'gap' | 'duplicate' | 'unexpected' | 'unreadable' | 'dead in a file' | 'lost'
  /** Null for a line that is no package. */
  readonly package: number | null
  readonly text: string
}

export interface Mark {
  readonly at: number
  /** `kill`, `stop`, `resume`, `add`, `cut`, `restart-redis`. */
  readonly kind: DemoAction
  readonly text: string
}

/** What changed most since the last snapshot; each field replaces that of the snapshot. */
export interface Delta {
  /** Number of the snapshot that it changes. */
  readonly number: number
  readonly at: number
  readonly in: number | null
  readonly out: number | null
  readonly lag: Lag
  readonly pending: number
  readonly waiting: number
  readonly unflushed: number
  readonly verdict: Pick<
    Verdict,
    | 'state'
    | 'text'
    | 'produced'
    | 'committed'
    | 'waiting'
    | 'dead'
    | 'purged'
    | 'gaps'
    | 'duplicates'
    | 'unreadable'
    | 'unexpected'
    | 'deadProcessed'
    | 'offender'
    | 'note'
  >
  readonly consumers: readonly Pick<Consumer, 'id' | 'state' | 'pending' | 'processed' | 'perSecond'>[]
}

/** Columns for the charts, one point a second, oldest first, at most 300. */
export interface Series {
  readonly at: readonly number[]
  readonly in: readonly (number | null)[]
  readonly out: readonly (number | null)[]
  /** Packages. */
  readonly lag: readonly number[]
  readonly lagMs: readonly number[]
  /** Ms, p99. */
  readonly latency: readonly (number | null)[]
}

// ---- Reading. Everything is bounded in number and time; `complete: false` says that there may be more.

/** GET /api/pending?limit=200&consumer=<id>: {@link PendingPage}, oldest first. `limit` is 1 to 1000. */
export interface PendingPage {
  readonly pending: readonly PendingEntry[]
  readonly waiting: readonly WaitingMessage[]
  /** How many there are in all (of the consumer). */
  readonly totalPending: number
  readonly totalWaiting: number
}

export interface PendingEntry {
  readonly entry: string
  readonly package: number | null
  readonly consumer: string
  readonly deliveries: number
  /** Since it was appended, and since it was delivered last. */
  readonly age: number
  readonly idle: number
  /** What happened to it last, if that was a failure. */
  readonly lastError: string | null
}

export interface WaitingMessage {
  readonly entry: string
  readonly package: number | null
  /** When it is due; ms until then, negative when late. */
  readonly due: number
  readonly dueIn: number
  /** The attempt that failed last, and why. */
  readonly attempt: number
  readonly consumer: string | null
  readonly reason: string | null
  readonly lastError: string | null
  readonly age: number
}

/** Query parameters of GET /api/letters, GET /api/letters/export, and the filter of bulk actions. */
export interface LetterFilter {
  /** Any of these. In a query: `reason` again and again. */
  readonly reason?: readonly string[]
  /** Part of the detail. */
  readonly error?: string
  /** Ms. */
  readonly minAge?: number
  readonly maxAge?: number
  /** `100-200`, or one number. */
  readonly packages?: string
  /** 3: those in quarantine, usually. */
  readonly minReplays?: number
}

/** GET /api/letters?<LetterFilter>&limit=100&before=<id>: newest first. `limit` is 1 to 1000. */
export interface LetterPage {
  readonly letters: readonly LetterRow[]
  /** All that match, and by reason; of the first 100,000 letters looked at. */
  readonly matched: number
  readonly reasons: Readonly<Record<string, number>>
  /** In quarantine, of those that match. */
  readonly quarantined: number
  /** Letters that match and cannot be replayed, because they are of an earlier run or have no payload. */
  readonly unreplayable: number
  /** What a bulk replay of all that match takes: without those in quarantine, and with them. */
  readonly replayable: number
  readonly replayableAnyway: number
  readonly complete: boolean
  /** `before` of the next page. */
  readonly next: string | null
  /** Id of the newest letter: to be sent with a bulk action, so that what dies meanwhile is not touched. */
  readonly through: string | null
}

export interface LetterRow {
  readonly id: string
  readonly at: number
  readonly reason: string
  readonly detail: string
  readonly package: number | null
  readonly consumer: string | null
  readonly attempts: number
  readonly replays: number
  readonly quarantined: boolean
  /** Why it cannot be replayed; null when it can. */
  readonly unreplayable: string | null
  readonly run: string
}

/** GET /api/letters/<id> */
export interface Letter extends LetterRow {
  readonly stack: string | null
  readonly group: string
  readonly message: string
  readonly entry: string
  readonly deliveries: number
  readonly failures: readonly {
    readonly at: number
    readonly consumer: string
    readonly reason: string
    readonly detail: string
  }[]
  /** The payload as JSON text, indented; null when it is none. */
  readonly payload: string | null
  /** `data` as it is, cut at 64 KB. */
  readonly data: string
  readonly trace: string | null
}

/** GET /api/messages/<package number, or id of an entry> ; 404 when an entry's package is not known. */
export interface Message {
  readonly package: number
  readonly run: string
  readonly state: MessageState
  /** Its line, once committed. `file` is a path, `number` counts from 1. */
  readonly line: { readonly file: string; readonly number: number; readonly text: string } | null
  /** Where it is, before that. */
  readonly place: Place | null
  /** Oldest first; empty when nothing is kept about it. */
  readonly history: readonly HistoryEvent[]
  /** The payload as JSON text, indented; null when it is not in Redis any more. */
  readonly payload: string | null
  /** URL of its trace. */
  readonly trace: string | null
  /** The last number that was given out. */
  readonly sequence: number
}

export type MessageState =
  | 'committed'
  | 'undelivered'
  | 'pending'
  | 'waiting'
  | 'dead'
  | 'purged'
  | 'not found'
  | 'not given out'

export type Place =
  | { readonly at: 'undelivered'; readonly entry: string }
  | { readonly at: 'pending'; readonly entry: string; readonly consumer: string; readonly deliveries: number }
  | { readonly at: 'waiting'; readonly entry: string; readonly due: number; readonly dueIn: number }
  | { readonly at: 'dead'; readonly letter: string }

export interface HistoryEvent {
  readonly event:
    | 'appended'
    | 'delivered'
    | 'claimed'
    | 'failed'
    | 'returned'
    | 'dead'
    | 'replayed'
    | 'purged'
    | 'committed'
  readonly at: number
  /** One line for people, without the time: `to c1, attempt 1`; `with c1, attempt 1, handler failed: … (again in 1 s)`. */
  readonly text: string
  readonly consumer: string | null
  readonly attempt: number | null
}

/** GET /api/search?<SearchQuery>. At least one parameter; they are all met by every hit. Ends after half a second for each place, or 100 hits. */
export interface SearchQuery {
  /** A number, or `from-to`. */
  readonly packages?: string
  /** Id of an entry or a letter. */
  readonly id?: string
  readonly consumer?: string
  readonly state?: Exclude<MessageState, 'not found' | 'not given out'>
  /** Part of a payload, an error, or a line; case matters not. 2 to 100 characters. */
  readonly text?: string
}

export interface SearchResult {
  readonly hits: readonly Hit[]
  /** All places were looked through to their ends. */
  readonly complete: boolean
  /** Messages, letters and lines looked at, and how long that took. */
  readonly looked: number
  readonly ms: number
}

export interface Hit {
  readonly package: number | null
  readonly state: MessageState
  /** Entry or letter; null for a line of a file. */
  readonly id: string | null
  readonly consumer: string | null
  /** Where the text was found, with some of what is around it; or the error, or the beginning of the payload. */
  readonly excerpt: string
}

/** GET /api/doctor; takes up to some seconds. */
export interface Doctor {
  readonly at: number
  readonly findings: number
  readonly checks: readonly {
    readonly id: string
    readonly status: 'ok' | 'note' | 'finding'
    readonly text: string
    readonly fix: string | null
  }[]
}

/** GET /api/audit?limit=100: newest first. */
export interface AuditPage {
  readonly entries: readonly {
    readonly at: number
    /** `console 127.0.0.1`, `cli user@host`. */
    readonly who: string
    /** `replay`, `purge`, `edit`, `retry`, `pause`, `resume`, `drain`, `demo kill`, … */
    readonly action: string
    /** The consumer, package, letter or filter. */
    readonly what: string
    readonly count: number
    /** The command line that does the same. */
    readonly command: string
  }[]
}

// ---- Changes. POST, JSON body, with the header `X-Conveyor: 1` and, if About.changes is `token`,
// `Authorization: Bearer <token>`. Each answers with {@link Done}, bulk ones with {@link Started} (202).

export interface Done {
  /** What was done, one line for people. */
  readonly text: string
  /** The command line that does the same. */
  readonly command: string
}

export interface Started extends Done {
  readonly job: Job
}

/** A bulk action. It goes on when the page is closed. One at a time: 409 while another runs. */
export interface Job {
  readonly id: string
  readonly action: 'replay' | 'purge'
  readonly state: 'running' | 'done' | 'stopped' | 'failed'
  /** Letters chosen; acted on; gone meanwhile; refused. */
  readonly total: number
  readonly done: number
  readonly gone: number
  readonly refused: number
  readonly started: number
  readonly ended: number | null
  /** What went wrong. */
  readonly error: string | null
  readonly command: string
}

/**
 * What can be done. `commandOf(action, about.target)` of `console/commands.ts`, which the page may import, gives the
 * command line that does the same.
 */
export type Action =
  /** POST /api/consumers/<id>/pause|resume|drain, body {} */
  | { readonly do: 'pause' | 'resume' | 'drain'; readonly consumer: string }
  /** POST /api/retry, body {package}: a waiting message is due now; 409 when it does not wait (any more). */
  | { readonly do: 'retry'; readonly package: number }
  /** POST /api/letters/replay|purge, body {@link Bulk} */
  | { readonly do: 'replay' | 'purge'; readonly bulk: Bulk }
  /** POST /api/letters/<id>/edit, body {payload: object}: replays it with another payload. */
  | { readonly do: 'edit'; readonly letter: string; readonly payload: Readonly<Record<string, unknown>> }
  /** GET /api/letters/export?<LetterFilter>: NDJSON, one letter a line, as a download. Changes nothing. */
  | { readonly do: 'export'; readonly filter: LetterFilter }

/**
 * Which letters. With `filter`: all that match, and `count` must be how many these are (for a purge LetterPage.matched, for
 * a replay `replayable`, or `replayableAnyway` with `quarantined`), as typed by a person: 409 when it is not.
 */
export type Bulk = (
  | { readonly ids: readonly string[] }
  | { readonly filter: LetterFilter; readonly count: number; readonly through: string }
) & {
  /** Letters a second; none: as fast as can be. */
  readonly rate?: number
  /** Replays also those in quarantine. */
  readonly quarantined?: boolean
}

/** POST /api/jobs/<id>/stop, body {}: ends it between two letters. */

// ---- Demonstration mode only (About.demo): POST /api/demo/<DemoAction>, body {@link DemoBody}; 404 otherwise.

/** `kill`: kill -9; `stop`: SIGSTOP; `resume`: SIGCONT; `cut`: CLIENT KILL of its connections. */
export type DemoAction = 'kill' | 'stop' | 'resume' | 'add' | 'cut' | 'restart-redis'

export interface DemoBody {
  /** Which consumer, for `kill`, `stop`, `resume` and `cut` (there, none: everybody's). */
  readonly consumer?: string
}

export interface ProblemBody {
  readonly status: number
  readonly detail: string
}
