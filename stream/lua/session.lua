#!lua flags=allow-oom
-- Opens a consumer's session: from here on only the holder of this token may commit under this name.
-- A session that is there already is replaced only when it has ended, is the caller's own earlier one,
-- or its beat still stands where the caller saw it stand too long.
--
-- KEYS  1 head  2 sessions  3 beats  4 files  5 output log
-- ARGV  1 epoch  2 consumer  3 token  4 token that may be replaced, or ''  5 its beat as observed, or ''
--       6 1 if the consumer writes a file
-- Reply {1, length of the consumer's output} opened
--       {0, token of the session in the way, its beat} refused
-- Errors EPOCH  the stream began a new life
--        AUDIT  the server is another run than the files were last compared with: compare them first
local head, sessions, beats, files = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('HGET', head, 'epoch') ~= ARGV[1] then return redis.error_reply('EPOCH changed') end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if ARGV[6] == '1' and redis.call('HGET', head, 'audited') ~= run then return redis.error_reply('AUDIT ' .. run) end

local consumer, token, replace, observed = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local held = redis.call('HGET', sessions, consumer)
local beat = redis.call('HGET', beats, consumer) or '0'
if held and held ~= '-' and (held ~= replace or (observed ~= '' and observed ~= beat)) then
  return { 0, held, beat }
end
redis.call('HSET', sessions, consumer, token)
redis.call('HINCRBY', beats, consumer, 1)
local length = redis.call('HGET', files, consumer)
if not length then redis.call('UNLINK', KEYS[5]) end -- it can only be left over from an earlier life
return { 1, tonumber(length or '0') }
