// TimescaleDB in WASM behind the PostgreSQL protocol, on a port that the first line of output names.
// One client at a time, as there is one session; the others wait. Stops when its standard input ends.
import net from 'node:net'
import { PGlite } from '@electric-sql/pglite'
import { timescaledb } from '@electric-sql/pglite/timescaledb'

const SSL_REQUEST = 80877103
const CANCEL_REQUEST = 80877102
const GSSENC_REQUEST = 80877104
const [TERMINATE, QUERY, COPY_DONE, COPY_FAIL] = ['X', 'Q', 'c', 'f'].map((type) => type.charCodeAt(0))
const COPY_IN_RESPONSE = Buffer.from([71, 0, 0, 0, 7, 0, 0, 0]) // 'G': as text; of how many columns, nobody asks

/** Cuts the byte stream of one client into whole protocol messages, however the network cut it. */
class Framer {
  constructor() {
    this.rest = Buffer.alloc(0)
    this.isStarted = false // the first messages have no type byte
  }

  /** Yield every message that is complete, and the code of one that comes before the session starts. */
  *push(bytes) {
    this.rest = Buffer.concat([this.rest, bytes])
    for (;;) {
      const head = this.isStarted ? 1 : 0
      if (this.rest.length < head + 4) return
      const size = head + this.rest.readInt32BE(head)
      if (this.rest.length < size) return
      const message = this.rest.subarray(0, size)
      this.rest = this.rest.subarray(size)
      const code = this.isStarted ? null : message.readInt32BE(4)
      this.isStarted ||= ![SSL_REQUEST, CANCEL_REQUEST, GSSENC_REQUEST].includes(code)
      yield { message, code }
    }
  }
}

const startsCopy = (message) => message[0] === QUERY && /^COPY [^]* FROM STDIN/.test(message.subarray(5).toString())

const execute = (messages) => database.execProtocolRaw(new Uint8Array(Buffer.concat(messages)))

async function serve(socket) {
  const framer = new Framer()
  let copy = null // a COPY and its data so far: the database takes them in one call only
  for await (const bytes of socket) {
    const whole = []
    for (const { message, code } of framer.push(bytes)) {
      if (code === SSL_REQUEST || code === GSSENC_REQUEST) socket.write('N')
      else if (code === CANCEL_REQUEST || (code === null && message[0] === TERMINATE)) return
      else if (copy) {
        copy.push(message)
        if (message[0] !== COPY_DONE && message[0] !== COPY_FAIL) continue
        const answer = Buffer.from(await execute(copy))
        socket.write(answer[0] === COPY_IN_RESPONSE[0] ? answer.subarray(1 + answer.readInt32BE(1)) : answer)
        copy = null
      } else if (code === null && startsCopy(message)) {
        copy = [message]
        socket.write(COPY_IN_RESPONSE)
      } else whole.push(message)
    }
    if (whole.length) socket.write(await execute(whole))
  }
}

async function forgetClient() {
  for (const command of ['ROLLBACK', 'DISCARD ALL', 'SET search_path TO public']) await database.exec(command)
}

const database = await PGlite.create({ extensions: { timescaledb } })
let turn = Promise.resolve()

const server = net.createServer((socket) => {
  socket.on('error', () => socket.destroy())
  turn = turn
    .then(() => serve(socket))
    .catch((error) => console.error(error))
    .finally(() => socket.end())
    .then(forgetClient)
    .catch((error) => console.error(error))
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit()).resume()
