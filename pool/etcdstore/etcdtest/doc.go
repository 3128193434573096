// Package etcdtest runs a real etcd of several members for tests, and lets them die,
// hang and come back. It builds the server from the module in folder server, once
// for each machine, and needs nothing that is installed.
//
// Where no etcd can be had the test is skipped, with the reason, and fails with
// CI=true in the environment.
package etcdtest
