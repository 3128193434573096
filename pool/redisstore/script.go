package redisstore

import "github.com/redis/go-redis/v9"

// scripts are what is done on the server, each in one step.
type scripts struct {
	write, nodes, look, trust *redis.Script
}

func newScripts() scripts {
	return scripts{
		write: redis.NewScript(trusted + write),
		nodes: redis.NewScript(nodes),
		look:  redis.NewScript(trusted + look),
		trust: redis.NewScript(trust),
	}
}

// trusted tells whether the server is the one that the store was settled on, and has
// been the master ever since. The ID of its replication history is another one after
// each start and each promotion. A master also changes it when the first replica
// comes, or the last one has been gone for long: it then is the same process, and has
// no earlier history to name.
const trusted = `
local function trusted(store)
  local info = redis.call('INFO', 'replication')
  local id = string.match(info, 'master_replid:(%x+)')
  local noted = redis.call('HMGET', store, 'replid', 'run')
  if not id or not noted[1] or not string.find(info, 'role:master', 1, true) then return false end
  if id == noted[1] then return true end
  if not string.find(info, 'master_replid2:' .. string.rep('0', 40), 1, true) then return false end
  if noted[2] ~= string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') then return false end
  redis.pcall('HSET', store, 'replid', id)
  return true
end
`

// write writes one record: KEYS are the store, its namespaces, the nodes of one and
// their index; ARGV the namespace and its revision, the node (empty for the namespace's
// own record) and its revision, the record without a revision, and whether it must not
// be written in doubt.
//
// It returns the record's revision, the time in microseconds or more, so that none
// comes back even where the record was lost; or 0 where the revisions are others, -1 in
// doubt, -2 where there is something else than a record. A write that finds itself
// made already succeeds: the client has repeated it.
const write = `
local function revision(record)
  if not record then return '0' end
  return string.match(record, '^(%d+) %x+ ')
end
if ARGV[6] == '1' and not trusted(KEYS[1]) then return -1 end
local namespace = redis.call('HGET', KEYS[2], ARGV[1])
local key, field, want, record = KEYS[2], ARGV[1], ARGV[2], namespace
if ARGV[3] ~= '' then
  key, field, want = KEYS[3], ARGV[3], ARGV[4]
  record = redis.call('HGET', key, field)
end
local of, have = revision(namespace), revision(record)
if not of or not have then return -2 end
if have ~= want or of ~= ARGV[2] or (ARGV[3] ~= '' and not namespace) then
  if record and string.sub(record, #have + 2) == ARGV[5] then return tonumber(have) end
  return 0
end
local time = redis.call('TIME')
local new = math.max(tonumber(have) + 1, time[1] * 1000000 + time[2])
if key == KEYS[3] and not record then redis.call('ZADD', KEYS[4], 0, field) end
redis.call('HSET', key, field, string.format('%.0f', new) .. ' ' .. ARGV[5])
return new
`

// nodes returns the nodes from ARGV[1] to ARGV[2] and their records, in turn. KEYS are
// the nodes of a namespace and their index. A call takes some thousand arguments.
const nodes = `
local found = redis.call('ZRANGEBYLEX', KEYS[2], '[' .. ARGV[1], '[' .. ARGV[2])
local all = {}
for first = 1, #found, 4000 do
  local last = math.min(first + 3999, #found)
  local records = redis.call('HMGET', KEYS[1], unpack(found, first, last))
  for i = first, last do
    all[2 * i - 1] = found[i]
    all[2 * i] = records[i - first + 1]
  end
end
return all
`

// look returns the time, and what decides whether the server can be used. KEYS are the
// store and its namespaces.
const look = `
local server, replication = redis.call('INFO', 'server'), redis.call('INFO', 'replication')
local memory, persistence = redis.call('INFO', 'memory'), redis.call('INFO', 'persistence')
local function field(info, name) return string.match(info, '\n' .. name .. ':([^\r\n]*)') or '' end
local time = redis.call('TIME')
local noted = redis.call('HMGET', KEYS[1], 'format', 'run')
return {
  time[1], time[2],
  field(server, 'run_id'), field(replication, 'master_replid'), field(replication, 'role'),
  field(memory, 'maxmemory_policy'), field(persistence, 'aof_enabled'),
  trusted(KEYS[1]) and '1' or '0', noted[1] or '', noted[2] or '',
  tostring(redis.call('EXISTS', KEYS[1], KEYS[2]))
}
`

// trust notes that the server with run ID ARGV[1] and replication ID ARGV[2] can be
// trusted, if it is still that one. With ARGV[3] = '1' only where there is nothing yet.
const trust = `
local replication = redis.call('INFO', 'replication')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local id = string.match(replication, 'master_replid:(%x+)')
if run ~= ARGV[1] or id ~= ARGV[2] or not string.find(replication, 'role:master', 1, true) then return 0 end
if ARGV[3] == '1' and redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then return 0 end
redis.call('HSET', KEYS[1], 'format', ARGV[4], 'run', run, 'replid', id)
return 1
`
