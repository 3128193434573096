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
// each start and each promotion.
//
// A master also changes it when its first replica comes, or the last one has been gone
// for repl-backlog-ttl. That looks the same as if another server had been the master in
// between: the server forgets its earlier history then, whichever that was, and is the
// same process in both cases. So it is not trusted either.
const trusted = `
local function trusted(store)
  local info = redis.call('INFO', 'replication')
  local noted = redis.call('HGET', store, 'replid')
  return noted and string.find(info, 'role:master', 1, true) and string.find(info, 'master_replid:' .. noted, 1, true)
end
`

// write writes one record: KEYS are the store, its namespaces, the nodes of one and
// their index; ARGV the namespace and its revision, the node (empty for the namespace's
// own record) and its revision, the record, and whether it must not be written in doubt.
// Revisions are as in records, empty where there must be none.
//
// It returns 1, or 0 where the revisions are others, -1 in doubt, -2 where there is
// something else than a record. A write that finds itself made already succeeds: it was
// sent before.
const write = `
local function revision(record)
  if not record then return '' end
  return string.sub(record, 17, 17) == ' ' and string.sub(record, 1, 16)
end
if ARGV[6] == '1' and not trusted(KEYS[1]) then return -1 end
local namespace = redis.call('HGET', KEYS[2], ARGV[1])
local record = namespace
if ARGV[3] ~= '' then record = redis.call('HGET', KEYS[3], ARGV[3]) end
local of, have = revision(namespace), revision(record)
if not of or not have then return -2 end
if record == ARGV[5] then return 1 end
if of ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[5])
  return 1
end
if not namespace or have ~= ARGV[4] then return 0 end
if not record then redis.call('ZADD', KEYS[4], 0, ARGV[3]) end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[5])
return 1
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
