#!lua flags=allow-oom
-- Ends the caller's own session. What is still pending for it may be claimed by peers at once.
--
-- KEYS  1 sessions  2 control
-- ARGV  1 consumer  2 token
-- Reply 1 ended, 0 it was not the caller's any more
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], '-')
if redis.call('HGET', KEYS[2], ARGV[1]) == 'draining' then redis.call('HDEL', KEYS[2], ARGV[1]) end -- it has
return 1
