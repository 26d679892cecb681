import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CannotAnalyse, errorCode } from './cannot-analyse.ts'

/** One consumer's file, with the size that will be read of it. */
export interface OutputFile {
  /** Consumer id, from the file's name. */
  id: string
  /** The name in the directory, `consumer_<id>.txt`. */
  name: string
  path: string
  /** Bytes when the directory was listed; what is appended later is not looked at. */
  size: number
}

const CANDIDATE = /^consumer_.*\.txt$/s
const NAMED_BY_ID = /^consumer_([A-Za-z0-9_-]{1,64})\.txt$/

/**
 * The files `consumer_<id>.txt` directly in a directory, sorted by name, symbolic links followed.
 *
 * All sizes are taken here, before any file is read: on a live system the files are then compared as of
 * one moment, and not each as of a later one than the file before it.
 *
 * @throws {CannotAnalyse} `no-directory`, `unreadable-directory`, `no-files`, `bad-file-name` (the name
 *   has the form but no valid id in it), `unreadable-file` (not a regular file, a dangling link, ...)
 */
export async function findOutputFiles(outputDir: string): Promise<OutputFile[]> {
  const names = (await listDirectory(outputDir)).filter(name => CANDIDATE.test(name)).sort()
  if (names.length === 0) {
    throw new CannotAnalyse('no-files', {
      path: outputDir,
      what: `no files consumer_<id>.txt in ${outputDir}`,
      hint: 'Run the pipeline first, or name the directory that its consumers write to.',
    })
  }
  const files: OutputFile[] = []
  for (const name of names) files.push(await describe(outputDir, name))
  return files
}

async function listDirectory(outputDir: string): Promise<string[]> {
  try {
    return await readdir(outputDir)
  } catch (cause) {
    const code = errorCode(cause)
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new CannotAnalyse('no-directory', {
        path: outputDir,
        what: code === 'ENOENT' ? `there is no directory ${outputDir}` : `${outputDir} is not a directory`,
        hint: 'Name the directory that holds the files consumer_<id>.txt.',
        cause,
      })
    }
    throw new CannotAnalyse('unreadable-directory', {
      path: outputDir,
      what: `cannot list the directory ${outputDir} (${code})`,
      hint: 'Make it readable for this user.',
      cause,
    })
  }
}

async function describe(outputDir: string, name: string): Promise<OutputFile> {
  const path = join(outputDir, name)
  const id = NAMED_BY_ID.exec(name)?.[1]
  if (id === undefined) {
    // To leave it out in silence could hide packages, to read it would need an id to hold lines against.
    throw new CannotAnalyse('bad-file-name', {
      path,
      what: `${path} is named like an output file, but its consumer id is not 1 to 64 of A-Z a-z 0-9 _ -`,
      hint: 'Rename the file or move it elsewhere.',
    })
  }
  const stats = await stat(path).catch(cause => {
    throw new CannotAnalyse('unreadable-file', {
      path,
      what: `cannot read ${path} (${errorCode(cause)})`,
      hint: 'Make the file readable, or remove the link if what it points to is gone.',
      cause,
    })
  })
  if (!stats.isFile()) {
    throw new CannotAnalyse('unreadable-file', {
      path,
      what: `${path} is not a regular file`,
      hint: 'Move it elsewhere.',
    })
  }
  return { id, name, path, size: stats.size }
}
