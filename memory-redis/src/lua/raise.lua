-- Invalidates a group. Answers the moment of it.
local clock, group = KEYS[1], KEYS[2]
local fresh, clock_life, group_life = ARGV[1], ARGV[2], ARGV[3]
local channel, message = ARGV[4], ARGV[5]

-- This comes first: once a script has changed anything, a full server no longer refuses what it sets.
redis.call('UNLINK', group)
local moment = after(look(clock), fresh)
redis.call('SET', clock, moment, 'PX', clock_life)
redis.call('SET', group, moment, 'PX', group_life)
tell(channel, message)
return moment
