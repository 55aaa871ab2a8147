package main

import (
	"context"

	agentdebugv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/agent/debug/v1"
	agentloggerv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/agent/logger/v1"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// administerAgent drives an agent's admin socket.
func administerAgent(ctx context.Context, conn grpc.ClientConnInterface) map[string]any {
	logger := agentloggerv1.NewLoggerClient(conn)
	levels := func(logger *types.Logger) string {
		return logger.CurrentLevel.String() + " " + logger.LaunchLevel.String()
	}
	set := must(logger.SetLogLevel(ctx, &agentloggerv1.SetLogLevelRequest{NewLevel: types.LogLevel_TRACE}))
	_, err := logger.SetLogLevel(ctx, &agentloggerv1.SetLogLevelRequest{NewLevel: 99})
	get := must(logger.GetLogger(ctx, &agentloggerv1.GetLoggerRequest{}))
	reset := must(logger.ResetLogLevel(ctx, &agentloggerv1.ResetLogLevelRequest{}))
	info := must(agentdebugv1.NewDebugClient(conn).GetInfo(ctx, &agentdebugv1.GetInfoRequest{}))
	healthClient := healthv1.NewHealthClient(conn)
	checked := must(healthClient.Check(ctx, &healthv1.HealthCheckRequest{}))
	watched := must(must(healthClient.Watch(ctx, &healthv1.HealthCheckRequest{})).Recv())
	return map[string]any{
		"health":  checked.Status.String() + " " + watched.Status.String(),
		"set":     levels(set),
		"unknown": status.Code(err).String(),
		"get":     levels(get),
		"reset":   levels(reset),
		"chain":   len(info.SvidChain),
		"id":      info.SvidChain[0].Id.Path,
		"cached":  info.CachedX509SvidsCount,
		"synced":  info.LastSyncSuccess > 0,
	}
}
