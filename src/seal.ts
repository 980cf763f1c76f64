/**
 * Secrets at rest: sealed with AES-256-GCM under a key that is kept outside the database, so that
 * a copy of the database alone gives nothing away (security.md S4).
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const version = 'v1'
const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16

export class Sealer {
  readonly #key: Buffer

  /** `key` is 32 random bytes; anything else is refused. */
  constructor(key: Buffer) {
    if (key.length !== keyBytes) throw new Error(`the sealing key must have ${keyBytes} bytes`)
    this.#key = key
  }

  /**
   * `purpose` is bound to the sealed text (as additional data): what was sealed as one thing can
   * not be put in the place of another by whoever can write to the database.
   */
  seal(plain: string, purpose: string): string {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    cipher.setAAD(Buffer.from(purpose))
    const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
    return `${version}.${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')}`
  }

  /** Opens what `seal` closed; throws on another key, another purpose or an altered text. */
  open(sealed: string, purpose: string): string {
    const [said, text] = sealed.split('.')
    if (said !== version || !text) throw new Error('not a sealed text of a known version')
    const bytes = Buffer.from(text, 'base64url')
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, nonceBytes), {
      authTagLength: tagBytes,
    })
    decipher.setAAD(Buffer.from(purpose))
    decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
    const plain = decipher.update(bytes.subarray(nonceBytes + tagBytes))
    return Buffer.concat([plain, decipher.final()]).toString('utf8')
  }
}
