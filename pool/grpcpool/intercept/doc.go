// Package intercept says what a gRPC server is doing: [Log] in lines, [Metrics] in
// figures, and [Recover] what went wrong where a handler panicked.
//
// They belong in this order, so that a panic is an error like any other for the
// outer ones:
//
//	metrics, err := intercept.NewMetrics(registry, c)
//	log := intercept.NewLog(logger, c)
//	rescue := intercept.NewRecover(logger, c, metrics.Panics())
//	unary, stream := intercept.Chain(metrics, log, rescue)
//
// What clients can do to a server that logs and counts is bounded: names that they
// make up become no series, failures that they repeat become few lines, and no
// message of theirs is ever written.
//
// # Metrics
//
// The names and labels of calls are those that dashboards for gRPC in Go know.
// grpc_type is unary, client_stream, server_stream or bidi_stream; grpc_code is the
// name of a code, as ResourceExhausted. A call of a method that the server does not
// know has the service and the method "unknown", where it has a handler for such.
//
//	name                               type       labels                                              unit
//	grpc_server_started_total          counter    grpc_type, grpc_service, grpc_method                calls
//	grpc_server_handled_total          counter    grpc_type, grpc_service, grpc_method, grpc_code     calls
//	grpc_server_handling_seconds       histogram  grpc_type, grpc_service, grpc_method, grpc_code     seconds
//	grpc_server_in_flight              gauge      grpc_type, grpc_service, grpc_method                calls
//	grpc_server_panics_total           counter                                                        panics
//	grpc_server_connections            gauge                                                          connections
//	grpc_server_connections_total      counter                                                        connections
//
// Alert on any increase of grpc_server_panics_total, on a share of Internal,
// Unknown, DataLoss and Unavailable among grpc_server_handled_total that lasts, and
// on grpc_server_connections near the process's limit of open files.
package intercept
