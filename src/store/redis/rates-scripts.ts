/**
 * What Redis does in one step, atomically: the scripts of the rates. A key of ours has a hash of the last minute's
 * requests and one of its tokens, by second, and a sorted set of its slots, by the end of their leases. The clock is
 * the server's. All that a script touches is in KEYS and has one hash tag.
 */

/** ARGV[1]: the time in epoch milliseconds in place of the server's; '' but in tests. */
const CLOCK = `
local nowMs = tonumber(ARGV[1])
if not nowMs then
  local time = redis.call('TIME')
  nowMs = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local second = math.floor(nowMs / 1000)
`;

/** Sixty seconds, as src/admission/window.ts has them. */
const WINDOW = `
local function sumOf(key)
  local flat = redis.call('HGETALL', key)
  local sum, counts = 0, {}
  for i = 1, #flat, 2 do
    local at = tonumber(flat[i])
    if at <= second - 60 or at > second + 60 then
      redis.call('HDEL', key, flat[i])
    else
      counts[at] = tonumber(flat[i + 1])
      sum = sum + counts[at]
    end
  end
  return sum, counts
end
local function secondsUntil(sum, counts, allowed)
  for age = 59, 1, -1 do
    if sum <= allowed then break end
    sum = sum - (counts[second - age] or 0)
    if sum <= allowed then return 60 - age end
  end
  if sum <= allowed then return 0 end
  return 60
end
local function add(key, at, amount)
  redis.call('HINCRBY', key, at, amount)
  redis.call('EXPIRE', key, 90)
end
local function takeBack(key, at, amount)
  if at ~= '' and redis.call('HEXISTS', key, at) == 1 then redis.call('HINCRBY', key, at, amount) end
end
`;

/** KEYS: requests, slots. ARGV: time, request, requests per minute or '', slots or '', lease in milliseconds. */
export const ENTER = `${CLOCK}${WINDOW}
local most, parallel = tonumber(ARGV[3]), tonumber(ARGV[4])
if parallel then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', nowMs)
  local used = redis.call('ZCARD', KEYS[2])
  if used >= parallel then return {'parallel', used, 1} end
end
if most then
  local used, counts = sumOf(KEYS[1])
  if used >= most then return {'requests', used, secondsUntil(used, counts, most - 1)} end
  add(KEYS[1], string.format('%d', second), 1)
end
if parallel then
  redis.call('ZADD', KEYS[2], string.format('%d', nowMs + tonumber(ARGV[5])), ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[5] * 2)
end
return {'counted', second, 0}`;

/** KEYS: tokens. ARGV: time, tokens per minute, tokens. */
export const ADD_TOKENS = `${CLOCK}${WINDOW}
local most, tokens = tonumber(ARGV[2]), tonumber(ARGV[3])
local used, counts = sumOf(KEYS[1])
if used > 0 and used + tokens > most then
  return {'tokens', used, secondsUntil(used, counts, math.max(0, most - tokens))}
end
add(KEYS[1], string.format('%d', second), ARGV[3])
return {'counted', second, 0}`;

/** KEYS: requests, slots, tokens. ARGV: time, request, second of the request or '', tokens, their second or ''. */
export const LEAVE = `${CLOCK}${WINDOW}
redis.call('ZREM', KEYS[2], ARGV[2])
takeBack(KEYS[1], ARGV[3], -1)
if ARGV[5] ~= '' then
  takeBack(KEYS[3], ARGV[5], ARGV[4])
elseif ARGV[4] ~= '0' then
  add(KEYS[3], string.format('%d', second), ARGV[4])
end
return 0`;

/** KEYS: slots. ARGV: time, lease in milliseconds, requests. */
export const RENEW = `${CLOCK}
for i = 3, #ARGV do
  redis.call('ZADD', KEYS[1], string.format('%d', nowMs + tonumber(ARGV[2])), ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
return 0`;
