"""What Redis does in one step for us, as Lua scripts.

Numbers are passed on as the text they came in: Lua would write a large one as 1e+15. Keys of one script share a hash
tag, so that a cluster, or a proxy before one, finds them in one place. A pin is "TURNS INPUT CACHED MODEL".
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Script(NamedTuple):
    """A script, and the digest a server knows it by once it has run it."""

    source: str
    sha1: str


def _script(source: str) -> Script:
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


_MINUS = """
local function minus(digits)  -- Redis reads -0 as no number
  return digits == '0' and '0' or '-' .. digits
end
"""

CLAIM = _script("""
-- KEYS: pin. ARGV: model, model it may replace or '', seconds to live. Returns the pin that holds.
-- What cannot be read counts as no pin, whatever its type, and is replaced.
local value = redis.pcall('GET', KEYS[1])
local turns, input, cached, model
if type(value) == 'string' then
  turns, input, cached, model = string.match(value, '^(%d+) (%d+) (%d+) (.+)$')
end
if not model then
  turns, input, cached, model = '0', '0', '0', ARGV[1]
elseif model == ARGV[2] and model ~= ARGV[1] then
  input, cached, model = '0', '0', ARGV[1]
end
value = string.format('%d %s %s %s', tonumber(turns) + 1, input, cached, model)
redis.call('SET', KEYS[1], value, 'EX', ARGV[3])
return value
""")

OBSERVE = _script("""
-- KEYS: pin. ARGV: model, input tokens or 0 when they are not known, cached tokens, turns to count.
local value = redis.call('GET', KEYS[1])
if value then
  local turns, input, cached, model = string.match(value, '^(%d+) (%d+) (%d+) (.+)$')
  if model == ARGV[1] then
    if ARGV[2] ~= '0' then
      input, cached = ARGV[2], ARGV[3]
    end
    turns = string.format('%d', tonumber(turns) + tonumber(ARGV[4]))
    redis.call('SET', KEYS[1], turns .. ' ' .. input .. ' ' .. cached .. ' ' .. model, 'KEEPTTL')
  end
end
return 0
""")

HOLD = _script(
    _MINUS
    + """
-- KEYS: request; then for each budget its total and its live holds.
-- ARGV: request, now, seconds to keep the request; then for each budget: name, amount, limit, end, seconds to keep it.
-- The request is a hash: budget -> amount held, or 'settled'. The total is a hash of `spent` and `held`. The live holds
-- are a sorted set by their ends, of "AMOUNT:REQUEST". Returns the first budget that is spent, or nil.
local budgets = (#KEYS - 1) / 2
local own = {}
for i = 1, budgets do
  local total, live = KEYS[2 * i], KEYS[2 * i + 1]
  local name, limit = ARGV[5 * i - 1], tonumber(ARGV[5 * i + 1])
  local dead = redis.call('ZRANGEBYSCORE', live, '-inf', ARGV[2], 'LIMIT', 0, 1000)
  while #dead > 0 do
    for _, member in ipairs(dead) do
      redis.call('HINCRBY', total, 'held', minus(string.match(member, '^%d+')))
    end
    redis.call('ZREM', live, unpack(dead))
    dead = redis.call('ZRANGEBYSCORE', live, '-inf', ARGV[2], 'LIMIT', 0, 1000)
  end
  local mine = redis.call('HGET', KEYS[1], name)
  if mine and mine ~= 'settled' and not redis.call('ZSCORE', live, mine .. ':' .. ARGV[1]) then
    mine = false
  end
  own[i] = mine
  if mine ~= 'settled' then
    local sums = redis.call('HMGET', total, 'spent', 'held')
    if tonumber(sums[1] or 0) + tonumber(sums[2] or 0) - tonumber(mine or 0) >= limit then
      return name
    end
  end
end
for i = 1, budgets do
  local total, live = KEYS[2 * i], KEYS[2 * i + 1]
  local name, amount, expires, keep = ARGV[5 * i - 1], ARGV[5 * i], ARGV[5 * i + 2], ARGV[5 * i + 3]
  if own[i] ~= 'settled' then
    if own[i] then
      redis.call('ZREM', live, own[i] .. ':' .. ARGV[1])
      redis.call('HINCRBY', total, 'held', minus(own[i]))
    end
    redis.call('ZADD', live, expires, amount .. ':' .. ARGV[1])
    redis.call('HINCRBY', total, 'held', amount)
    redis.call('HSET', KEYS[1], name, amount)
    redis.call('EXPIRE', KEYS[1], ARGV[3])
    redis.call('EXPIRE', total, keep)
    redis.call('EXPIRE', live, keep)
  end
end
return false
"""
)

SETTLE = _script(
    _MINUS
    + """
-- KEYS: as of a hold. ARGV: request, seconds in which it counts once; then for each budget: name, amount, seconds to
-- keep it.
for i = 1, (#KEYS - 1) / 2 do
  local total, live = KEYS[2 * i], KEYS[2 * i + 1]
  local name, amount, keep = ARGV[3 * i], ARGV[3 * i + 1], ARGV[3 * i + 2]
  local mine = redis.call('HGET', KEYS[1], name)
  if mine ~= 'settled' then
    if mine and redis.call('ZREM', live, mine .. ':' .. ARGV[1]) == 1 then
      redis.call('HINCRBY', total, 'held', minus(mine))
    end
    redis.call('HINCRBY', total, 'spent', amount)
    redis.call('HSET', KEYS[1], name, 'settled')
    redis.call('EXPIRE', total, keep)
    redis.call('EXPIRE', live, keep)
  end
end
local open = false
for _, mine in ipairs(redis.call('HVALS', KEYS[1])) do
  open = open or mine ~= 'settled'
end
if not open or redis.call('TTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return 0
"""
)

SPENT = _script("""
-- KEYS: total, live holds. ARGV: now. Returns what was spent, and what is held.
local sums = redis.call('HMGET', KEYS[1], 'spent', 'held')
local held = tonumber(sums[2] or 0)
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])) do
  held = held - tonumber(string.match(member, '^%d+'))
end
return {tonumber(sums[1] or 0), held}
""")
