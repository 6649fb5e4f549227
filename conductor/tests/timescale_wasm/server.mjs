// TimescaleDB in WASM behind the PostgreSQL protocol, on a port that the first line of output names.
// One client at a time, as there is one session; the others wait. Stops when its standard input ends.
import net from 'node:net'
import { PGlite } from '@electric-sql/pglite'
import { timescaledb } from '@electric-sql/pglite/timescaledb'

const SSL_REQUEST = 80877103
const CANCEL_REQUEST = 80877102
const GSSENC_REQUEST = 80877104
const TERMINATE = 'X'.charCodeAt(0)

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

async function serve(socket) {
  const framer = new Framer()
  for await (const bytes of socket) {
    const whole = []
    for (const { message, code } of framer.push(bytes)) {
      if (code === SSL_REQUEST || code === GSSENC_REQUEST) socket.write('N')
      else if (code === CANCEL_REQUEST || (code === null && message[0] === TERMINATE)) return
      else whole.push(message)
    }
    if (whole.length) socket.write(await database.execProtocolRaw(new Uint8Array(Buffer.concat(whole))))
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
