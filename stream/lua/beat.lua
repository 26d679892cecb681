#!lua flags=allow-oom
-- One heartbeat: counts mine up and returns everybody's, so that whoever reads the answer compares
-- counters of one instant and needs no clock. It also says how I fare, and brings what I am told to do.
--
-- KEYS  1 stream  2 sessions  3 beats  4 control  5 vitals
-- ARGV  1 group  2 consumer  3 token  4 vitals, '' for none
-- Reply {sessions (name, token, ...), beats (name, counter, ...), owners of pending entries ((name, how many), ...),
--        'paused', 'draining' or ''}
-- Errors FENCED  the session was ended
local stream, sessions, beats = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', sessions, ARGV[2]) ~= ARGV[3] then return redis.error_reply('FENCED ' .. ARGV[2]) end
redis.call('HINCRBY', beats, ARGV[2], 1)
if ARGV[4] ~= '' then redis.pcall('HSET', KEYS[5], ARGV[2], ARGV[4]) end -- nothing depends on it
local owners = redis.call('XPENDING', stream, ARGV[1])[4] or {}
local told = redis.pcall('HGET', KEYS[4], ARGV[2])
return { redis.call('HGETALL', sessions), redis.call('HGETALL', beats), owners, type(told) == 'string' and told or '' }
