"""`python -m benchmarks.broadcast HOST PORT POST_PORT BYTES`: send a frame to all who listen, at each POST.

As quickly as the library that is made for it can: one write a socket, of a frame that is there.
"""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"


async def run(host: str, port: int, post_port: int, frame: str) -> None:
    connections: set[ServerConnection] = set()

    async def listen(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()
        connections.discard(connection)

    async def take_posts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            broadcast(connections, frame)
            writer.write(ANSWER)

    await asyncio.start_server(take_posts, host, post_port)
    async with serve(listen, host, port, compression=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), "x" * int(sys.argv[4])))
