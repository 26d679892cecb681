#!lua flags=allow-oom
-- One heartbeat: counts mine up and returns everybody's, so that whoever reads the answer compares
-- counters of one instant and needs no clock.
--
-- KEYS  1 stream  2 sessions  3 beats
-- ARGV  1 group  2 consumer  3 token
-- Reply {sessions (name, token, ...), beats (name, counter, ...), owners of pending entries ((name, how many), ...)}
-- Errors FENCED  the session was ended
local stream, sessions, beats = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', sessions, ARGV[2]) ~= ARGV[3] then return redis.error_reply('FENCED ' .. ARGV[2]) end
redis.call('HINCRBY', beats, ARGV[2], 1)
local owners = redis.call('XPENDING', stream, ARGV[1])[4] or {}
return { redis.call('HGETALL', sessions), redis.call('HGETALL', beats), owners }
