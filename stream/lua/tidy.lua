#!lua flags=allow-oom
-- Removes a consumer that has ended, if nothing of it is left to do: no pending entry (XGROUP
-- DELCONSUMER would throw it away) and no output that is not yet in its file. Check and removal are one
-- step. Its length in `files` stays for as long as the epoch, because the name may come back.
--
-- KEYS  1 stream  2 sessions  3 beats  4 output log  5 vitals
-- ARGV  1 group  2 consumer
-- Reply 1 removed, 0 something is left
local stream, sessions, beats, output = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('HGET', sessions, ARGV[2]) ~= '-' then return 0 end
if #redis.call('XPENDING', stream, ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
if redis.call('XLEN', output) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', stream, ARGV[1], ARGV[2])
redis.call('HDEL', sessions, ARGV[2])
redis.call('HDEL', beats, ARGV[2])
redis.call('HDEL', KEYS[5], ARGV[2])
redis.call('UNLINK', output)
return 1
