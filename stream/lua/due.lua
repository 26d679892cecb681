#!lua flags=allow-oom
-- Returns messages that are due to the stream, each under a new entry id and for one group only. Appending and
-- forgetting are one step, so whoever calls this, however often, returns each message once.
-- Allowed when memory is used up: it takes no more than it gives back.
--
-- KEYS  1 stream  2 head  3 retry  4 waiting  5 dead letters  6 counts  7 history
-- ARGV  1 epoch  2 group  3 how many at most  4 bytes after which no more are returned
-- Reply {how many were returned, ms until the next is due: 0 now, -1 nothing waits,
--        (id of one whose payload is missing, ...)}
-- Errors EPOCH       the stream began a new life
--        STREAMGONE  the stream was deleted while its head stands
local stream, head, retry, waiting, dead, counts, history = unpack(KEYS)
if redis.call('HGET', head, 'epoch') ~= ARGV[1] then return redis.error_reply('EPOCH changed') end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function ms_to_next()
  local next = redis.call('ZRANGE', retry, 0, 0, 'WITHSCORES')
  if #next == 0 then return -1 end
  return math.max(0, next[2] - now)
end

local ids = redis.call('ZRANGE', retry, '-inf', string.format('%d', now), 'BYSCORE', 'LIMIT', 0, ARGV[3])
if #ids == 0 then return { 0, ms_to_next(), {} } end
if redis.call('TYPE', stream).ok ~= 'stream' then return redis.error_reply('STREAMGONE ' .. stream) end
local sequence = redis.call('HGET', head, 'sequence')
local returned, bytes, missing = 0, 0, {}
for _, id in ipairs(ids) do
  local body = redis.call('HGET', waiting, id)
  local readable, fields = pcall(cjson.decode, body or '')
  if readable then
    local entry = redis.call('XADD', stream, '*', 'conveyor-sequence', sequence, unpack(fields, 2))
    local package = fields[1]
    if package ~= '' then
      local note = string.format('{"event":"returned","at":%d,"entry":"%s"}', now, entry)
      redis.pcall('RPUSHX', history .. ':' .. package, note)
    end
    returned = returned + 1
    bytes = bytes + #body
  else
    missing[#missing + 1] = id
    redis.call('XADD', dead, '*', 'reason', 'payload missing', 'entry', id, 'group', ARGV[2], 'epoch', '')
    redis.pcall('HINCRBY', counts, 'lost', 1)
    redis.pcall('HINCRBY', counts, 'dead', 1)
    redis.pcall('HINCRBY', counts, 'letters:payload missing', 1)
  end
  redis.call('ZREM', retry, id)
  redis.call('HDEL', waiting, id)
  if bytes >= tonumber(ARGV[4]) then break end
end
return { returned, ms_to_next(), missing }
