"""Stand-ins for the TimescaleDB functions that our queries call, for a server without the extension.

`time_bucket` starts at Monday 2000-01-03, as TimescaleDB's does. `first` and `last` keep a number and its moment
in an array of two; TimescaleDB's take any type, ours every number (as double precision).
"""

CREATE_FUNCTIONS = """
CREATE FUNCTION time_bucket(width interval, at timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT date_bin(width, at, '2000-01-03 00:00:00+00') $$;

CREATE FUNCTION plain_earlier(a float8[], b float8[]) RETURNS float8[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT CASE WHEN b[2] < a[2] THEN b ELSE a END $$;
CREATE FUNCTION plain_later(a float8[], b float8[]) RETURNS float8[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT CASE WHEN b[2] > a[2] THEN b ELSE a END $$;

CREATE FUNCTION plain_first(kept float8[], value float8, at timestamptz) RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN at IS NULL THEN kept
        ELSE plain_earlier(coalesce(kept, ARRAY[NULL, float8 'infinity']), ARRAY[value, extract(epoch FROM at)]) END $$;
CREATE FUNCTION plain_last(kept float8[], value float8, at timestamptz) RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN at IS NULL THEN kept
        ELSE plain_later(coalesce(kept, ARRAY[NULL, float8 '-infinity']), ARRAY[value, extract(epoch FROM at)]) END $$;
CREATE FUNCTION plain_value(kept float8[]) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT kept[1] $$;

CREATE AGGREGATE first(float8, timestamptz) (
    sfunc = plain_first, stype = float8[], finalfunc = plain_value, combinefunc = plain_earlier, parallel = safe);
CREATE AGGREGATE last(float8, timestamptz) (
    sfunc = plain_last, stype = float8[], finalfunc = plain_value, combinefunc = plain_later, parallel = safe);
"""

DROP_FUNCTIONS = """
DROP AGGREGATE IF EXISTS first(float8, timestamptz), last(float8, timestamptz);
DROP FUNCTION IF EXISTS time_bucket(interval, timestamptz), plain_value(float8[]),
    plain_first(float8[], float8, timestamptz), plain_last(float8[], float8, timestamptz),
    plain_earlier(float8[], float8[]), plain_later(float8[], float8[]);
"""
