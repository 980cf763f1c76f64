/** The text of a kubeconfig as a tree of YAML, read as every part of this folder must read it. */
import { type Document, type ParseOptions, parseDocument, type Tags } from 'yaml'
import { Failure } from '../../src/wire/failure.ts'

/**
 * Numbers stay the text that they are. Read as numbers, `00123` and what has twenty digits would be
 * others when they are written again, and no comparison of values would show it.
 */
function withoutNumbers(tags: Tags): Tags {
  const numbers = ['tag:yaml.org,2002:int', 'tag:yaml.org,2002:float']
  return tags.filter((tag) => typeof tag === 'string' || !numbers.includes(tag.tag))
}

/** @throws {Failure} `invalid` when it is no YAML. */
export function parsed(text: string, options: ParseOptions = {}): Document.Parsed {
  const document = parseDocument(text, { ...options, customTags: withoutNumbers })
  const [first] = document.errors
  if (first) throw unreadable(first, first.linePos?.[0].line)
  return document
}

/** The values of a document. Aliases may lead nowhere, or multiply without end: that shows here. */
export function valuesOf(document: Document.Parsed): unknown {
  try {
    return document.toJS()
  } catch (cause) {
    throw unreadable(cause)
  }
}

function unreadable(cause: unknown, line?: number): Failure {
  const where = line ? ` (line ${line})` : ''
  return new Failure('invalid', `it is not YAML that can be read${where}`, { cause })
}
