// Receives one batch of metrics over UDP with the Thrift code of M3's own reporter, and prints it as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"time"

	m3thrift "github.com/uber-go/tally/v4/m3/thrift/v2"
	"github.com/uber-go/tally/v4/thirdparty/github.com/apache/thrift/lib/go/thrift"
)

type received struct{ batch m3thrift.MetricBatch }

func (r *received) EmitMetricBatchV2(batch m3thrift.MetricBatch) error {
	r.batch = batch
	return nil
}

func main() {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	fmt.Println(conn.LocalAddr().(*net.UDPAddr).Port)
	packet := make([]byte, 65536)
	if err := conn.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
		panic(err)
	}
	n, err := conn.Read(packet)
	if err != nil {
		panic(err)
	}
	transport := thrift.NewTMemoryBuffer()
	if _, err := transport.Write(packet[:n]); err != nil {
		panic(err)
	}
	protocol := thrift.NewTCompactProtocolFactory().GetProtocol(transport)
	handler := &received{}
	if _, err := m3thrift.NewM3Processor(handler).Process(protocol, protocol); err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(handler.batch); err != nil {
		panic(err)
	}
}
