// An OTLP receiver for tests: takes spans over gRPC and over HTTP, and prints each as a line of JSON on its standard output.
// The first line has its two ports.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

type span struct {
	By         string            `json:"by"`
	Service    string            `json:"service"`
	Name       string            `json:"name"`
	Kind       string            `json:"kind"`
	TraceID    string            `json:"traceId"`
	SpanID     string            `json:"spanId"`
	ParentID   string            `json:"parentId"`
	IsError    bool              `json:"isError"`
	Nanos      int64             `json:"nanos"`
	Attributes map[string]string `json:"attributes"`
	Resource   map[string]string `json:"resource"`
}

var printing sync.Mutex

func printLine(value any) {
	printing.Lock()
	defer printing.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		os.Exit(1)
	}
}

func take(by string, request *collector.ExportTraceServiceRequest) {
	for _, ofResource := range request.GetResourceSpans() {
		resource := toMap(ofResource.GetResource().GetAttributes())
		for _, ofScope := range ofResource.GetScopeSpans() {
			for _, s := range ofScope.GetSpans() {
				printLine(span{
					By: by, Service: resource["service.name"], Name: s.GetName(), Kind: s.GetKind().String(),
					TraceID: hex.EncodeToString(s.GetTraceId()), SpanID: hex.EncodeToString(s.GetSpanId()),
					ParentID: hex.EncodeToString(s.GetParentSpanId()), IsError: s.GetStatus().GetCode() == 2,
					Nanos:      int64(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano()),
					Attributes: toMap(s.GetAttributes()), Resource: resource,
				})
			}
		}
	}
}

func toMap(attributes []*common.KeyValue) map[string]string {
	texts := map[string]string{}
	for _, a := range attributes {
		switch value := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			texts[a.GetKey()] = value.StringValue
		default:
			texts[a.GetKey()] = fmt.Sprint(a.GetValue().GetIntValue())
		}
	}
	return texts
}

type service struct {
	collector.UnimplementedTraceServiceServer
}

func (service) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	take("grpc", r)
	return &collector.ExportTraceServiceResponse{}, nil
}

func overHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := &collector.ExportTraceServiceRequest{}
	if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, request) != nil {
		http.Error(w, "not an export", http.StatusBadRequest)
		return
	}
	take("http", request)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return listener
}

func main() {
	forGRPC, forHTTP := listen(), listen()
	printLine(map[string]int{
		"grpc": forGRPC.Addr().(*net.TCPAddr).Port,
		"http": forHTTP.Addr().(*net.TCPAddr).Port,
	})
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, service{})
	go func() { _ = server.Serve(forGRPC) }()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", overHTTP)
	go func() { _ = http.Serve(forHTTP, mux) }()
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with whoever started it
}
