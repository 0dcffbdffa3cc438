-- Begins the clock and groups where they are missing or of another clock, and sees that they live long enough. Answers the
-- clock and the moment of each group.
local clock = KEYS[1]
local fresh, clock_life = ARGV[1], ARGV[2]
-- From here on: how long each of the groups lives at least.
local GROUP, LIFE = 2, 3 - 2

local incarnation, count = parts(look(clock))
if not count then
  incarnation, count = fresh, now()
  redis.call('SET', clock, moment(incarnation, count), 'PX', clock_life)
end
local moments = { moment(incarnation, count) }
for at = GROUP, #KEYS do
  local invalidated_in, invalidated = parts(look(KEYS[at]))
  if invalidated_in ~= incarnation then
    moments[at] = moments[1]
    redis.call('SET', KEYS[at], moments[at], 'PX', ARGV[at + LIFE])
  else
    moments[at] = moment(incarnation, invalidated)
    if redis.call('PTTL', KEYS[at]) < tonumber(ARGV[at + LIFE]) then
      redis.call('PEXPIRE', KEYS[at], ARGV[at + LIFE])
    end
  end
end
return moments
