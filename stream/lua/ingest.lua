#!lua
-- Appends the messages of several requests from outside, each request at most once in 24 h, atomically.
--
-- The call is named by its lane and a counter, as in append.lua: a repeated one gets its first answer. Besides, a
-- request may carry an idempotency key of its own, under which its answer is kept for 24 h, whichever process asks.
--
-- KEYS  1 stream  2 head  3 lane  4.. the idempotency keys, in the order of the requests that have one
-- ARGV  1 epoch  2 counter of the call, from 1
--       then, for each request: fingerprint ('' without an idempotency key), the data before a package's number,
--       number of further fields and values k, k strings, number of messages m, m times the data after the number
-- Reply JSON {counter, epoch, first: first number given out, id: entry of the first, or "", answers: one a request},
--       and all numbers as strings. An answer is
--         "<how many>"                   appended in this call, behind those of the requests before it
--         "<first> <how many> <entry>"   appended earlier, under the same key
--         ""                             the key stands for other messages
--       The entries of a call, and so of a request, are <ms>-<n>, <ms>-<n + 1>, ...
-- Errors EPOCH, STREAMGONE, STALE as append.lua
local stream, head, lane = KEYS[1], KEYS[2], KEYS[3]
local epoch, counter = ARGV[1], ARGV[2]
if redis.call('HGET', head, 'epoch') ~= epoch then return redis.error_reply('EPOCH ' .. stream) end

local answered = redis.call('GET', lane)
if answered then
  local last = cjson.decode(answered)
  if last.epoch == epoch then -- a lane of an earlier life says nothing about this one
    if counter == last.counter then return answered end
    if tonumber(counter) < tonumber(last.counter) then
      return redis.error_reply('STALE ' .. counter .. ' after ' .. last.counter)
    end
  end
end
if redis.call('TYPE', stream).ok ~= 'stream' then return redis.error_reply('STREAMGONE ' .. stream) end

local sequence = tonumber(redis.call('HGET', head, 'sequence'))
local number, id, ms, entry = sequence, '', '*', 0
local answers = {}
local at, key = 3, 3

local function append(before, fields, k, from, count)
  for i = from, from + count - 1 do
    number = number + 1
    local added = redis.call('XADD', stream, ms, 'data', before .. string.format('%d', number) .. ARGV[i],
      unpack(ARGV, fields, fields + k - 1))
    if id == '' then -- the others follow it, whatever the clock does
      id = added
      ms = string.match(added, '^%d+') .. '-*'
      entry = tonumber(string.match(added, '%d+$'))
    end
  end
end

while at <= #ARGV do
  local fingerprint, before, k = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local fields = at + 3
  local count = tonumber(ARGV[fields + k])
  local from = fields + k + 1
  local known
  if fingerprint ~= '' then
    key = key + 1
    known = redis.call('GET', KEYS[key])
    if known then
      local same, first, many, where, life = string.match(known, '^(%S+) (%d+) (%d+) (%S+) (.*)$')
      if life ~= epoch then known = nil -- its messages are gone with the life that they were part of
      elseif same == fingerprint then answers[#answers + 1] = first .. ' ' .. many .. ' ' .. where
      else answers[#answers + 1] = '' end
    end
  end
  if not known then
    local first = number + 1
    append(before, fields, k, from, count)
    answers[#answers + 1] = string.format('%d', count)
    if fingerprint ~= '' then
      local where = string.format('%s-%d', string.match(id, '^%d+'), entry + first - sequence - 1)
      redis.call('SET', KEYS[key], string.format('%s %d %d %s %s', fingerprint, first, count, where, epoch),
        'PX', 86400000)
    end
  end
  at = from + count
end

redis.call('HSET', head, 'sequence', string.format('%d', number))
local reply = cjson.encode({
  counter = counter,
  epoch = epoch,
  first = string.format('%d', sequence + 1),
  id = id,
  answers = answers,
})
redis.call('SET', lane, reply, 'PX', 86400000)
return reply
