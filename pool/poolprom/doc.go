// Package poolprom measures pools and their stores for Prometheus. [Store] and
// [Pool] stand around a store and a pool and count what passes; a [Collector] looks
// at a pool when it is scraped.
//
//	measured, err := poolprom.Store(store, registry, c)
//	local := pool.New(measured)
//	counted, err := poolprom.Pool(local, registry, c) // for a server to serve
//	registry.MustRegister(poolprom.NewCollector(local, c))
//
// # Metrics
//
// By [Store], whose op is one of namespaces, namespace, nodes, write and now:
//
//	name                             type       labels                unit
//	easyflake_store_seconds          histogram  op                    seconds
//	easyflake_store_errors_total     counter    op                    failures
//	easyflake_store_conflicts_total  counter                          writes that came second, and were tried again
//
// By [Pool], whose op is one of acquire, acquire_legacy, renew, release, list,
// revoke, retire, namespaces, create_namespace and accept_clock, and whose reason is
// that of [pool.Reason]: grants are the acquire with the reason ok, refusals are all
// other reasons. The namespace is empty where the pool is not known to have it:
// anybody can make up names.
//
//	easyflake_pool_requests_total    counter    namespace, op, reason requests
//	easyflake_pool_request_seconds   histogram  op                    seconds
//
// By a [Collector]. All but the first four are as old as the scan that they are of,
// and those that a scan could not find out are missing:
//
//	easyflake_pool_up                gauge                            1, or 0: the last scan was not complete
//	easyflake_pool_scan_seconds      gauge                            seconds that it took
//	easyflake_pool_scan_timestamp_seconds  gauge                      Unix time of the last complete one; 0: none yet
//	easyflake_namespaces             gauge                            namespaces
//	easyflake_nodes                  gauge      namespace, use        nodes that can be leased
//	easyflake_leases                 gauge      namespace, use, state nodes in that state
//	easyflake_layout_life_seconds    gauge      namespace             seconds left of the layout's life; below 0: over
//	easyflake_floor_seconds          gauge      namespace             seconds until windows can begin on all nodes; 0: now
//	easyflake_serving                gauge      namespace             1, or 0: nothing can be granted
//	easyflake_clock_jumped           gauge      namespace             1: the clock has jumped; 0
//	easyflake_clock_offset_seconds   gauge      namespace             seconds that the store's clock is ahead of the pool's
//
// The use of a node is leased, or legacy for streams to EasyFlake for Python. Its
// state is the first of these that fits, so that the states of a namespace and a use
// add up to its nodes:
//
//	unusable  its record cannot be read
//	retired   it is out of use for good
//	free      nobody holds it, or ever did
//	expired   its holder has not renewed it in time: it is free for others
//	revoked   it is held, but cannot be renewed
//	held      it is held
//
// The last three are only there for a pool that can say, as [pool.Local] can.
//
// # Alerts
//
//   - easyflake_pool_up == 0, easyflake_serving == 0 or easyflake_clock_jumped == 1
//     for a minute: nothing, or not everything, is granted; holders go on until their
//     windows end.
//   - easyflake_store_errors_total increases: holders live on what they have.
//   - sum by (namespace) of easyflake_leases with state held or revoked above 80 % of
//     easyflake_nodes: soon nobody will get a node.
//   - easyflake_pool_requests_total with reason exhausted increases: somebody did not.
//   - the same with bad_record: a record was damaged, or written by a newer version.
//   - the same with lease_lost, all the time: processes are paused longer than their
//     windows, or copied.
//   - easyflake_layout_life_seconds below a year (31536000): plan its successor.
//   - easyflake_floor_seconds above 0, unless a backup was just restored or the
//     namespace is new: the store has lost records.
package poolprom
