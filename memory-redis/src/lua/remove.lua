-- Removes an entry and raises its generation. Answers how many entries went.
local entry, tombstone, lease = KEYS[1], KEYS[2], KEYS[3]
local generation, generation_life = ARGV[1], ARGV[2]
local channel, message = ARGV[3], ARGV[4]

-- This comes first: once a script has changed anything, a full server no longer refuses what it sets.
local gone = redis.call('UNLINK', entry)
redis.call('UNLINK', lease)
redis.call('SET', tombstone, generation, 'PX', generation_life)
tell(channel, message)
return gone
