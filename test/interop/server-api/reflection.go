package main

import (
	"context"
	"sort"

	"google.golang.org/grpc"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// reflectOn asks for what is served as a client does that has no .proto file, and calls by what it learned.
func reflectOn(ctx context.Context, conn *grpc.ClientConn) map[string]any {
	stream := must(reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx))
	ask := func(request *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		check(stream.Send(request) == nil, "a question was not sent")
		return must(stream.Recv())
	}
	listed := ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}).GetListServicesResponse()
	var names []string
	methods := 0
	for _, service := range listed.Service {
		names = append(names, service.Name)
		descriptor := describe(ask(&reflectionv1.ServerReflectionRequest{
			MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service.Name},
		}), service.Name)
		methods += descriptor.Methods().Len()
	}
	entry := describe(ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: "spire.api.server.entry.v1.Entry.CountEntries",
		},
	}), "spire.api.server.entry.v1.Entry")
	count := entry.Methods().ByName("CountEntries")
	answer := dynamicpb.NewMessage(count.Output())
	err := conn.Invoke(ctx, "/spire.api.server.entry.v1.Entry/CountEntries", dynamicpb.NewMessage(count.Input()), answer)
	check(err == nil, "CountEntries by reflection: %v", err)
	unknown := ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileByFilename{FileByFilename: "no/such.proto"},
	}).GetErrorResponse()

	alpha := must(reflectionv1alpha.NewServerReflectionClient(conn).ServerReflectionInfo(ctx))
	check(alpha.Send(&reflectionv1alpha.ServerReflectionRequest{
		MessageRequest: &reflectionv1alpha.ServerReflectionRequest_ListServices{},
	}) == nil, "a question was not sent")
	sort.Strings(names)
	return map[string]any{
		"services": names,
		"methods":  methods > 50,
		"counted":  answer.Has(count.Output().Fields().ByName("count")),
		"unknown":  unknown.ErrorCode,
		"alpha":    len(must(alpha.Recv()).GetListServicesResponse().Service) == len(names),
	}
}

func describe(answer *reflectionv1.ServerReflectionResponse, service string) protoreflect.ServiceDescriptor {
	set := &descriptorpb.FileDescriptorSet{}
	for _, encoded := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		check(proto.Unmarshal(encoded, file) == nil, "a descriptor of %s is none", service)
		set.File = append(set.File, file)
	}
	files := must(protodesc.NewFiles(set)) // checks that every import is there
	return must(files.FindDescriptorByName(protoreflect.FullName(service))).(protoreflect.ServiceDescriptor)
}
