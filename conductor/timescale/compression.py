"""Compression of old rows, where the server has TimescaleDB's community edition; nothing anywhere else.

A segment is a session, so that one is read, and erased, without its neighbours. What comes for an old day, such as a
recording of last month, is stored beside what is compressed, until the policy looks again.
"""

TABLE = "engagement"
IS_POSSIBLE = """
    SELECT FROM timescaledb_information.hypertables
    WHERE hypertable_name = %s AND NOT compression_enabled AND current_setting('timescaledb.license') = 'timescale'
"""
IS_ENABLED = "SELECT FROM timescaledb_information.hypertables WHERE hypertable_name = %s AND compression_enabled"
# The names that every version from 2.11 on knows; those that replace them came with 2.18.
ENABLE = (
    f"ALTER TABLE {TABLE} SET (timescaledb.compress, timescaledb.compress_segmentby = 'session_id',"
    " timescaledb.compress_orderby = 'timestamp')",
    f"SELECT add_compression_policy('{TABLE}', INTERVAL '7 days', if_not_exists => true)",
)
DISABLE = (
    f"SELECT remove_compression_policy('{TABLE}', if_exists => true)",
    f"SELECT decompress_chunk(chunk, if_compressed => true) FROM show_chunks('{TABLE}') chunk",
    f"ALTER TABLE {TABLE} SET (timescaledb.compress = false)",
)
