#!lua flags=allow-oom
-- Records that the output files were compared with `files` under the present run of the server.
--
-- KEYS  1 head
-- ARGV  1 epoch  2 run id that they were compared under
-- Reply 1 recorded, 0 the epoch or the server's run has changed meanwhile
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if run ~= ARGV[2] or redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'audited', run)
return 1
