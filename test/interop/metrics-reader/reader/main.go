// Reads metrics in Prometheus' text format from standard input, with the parser that Prometheus' own Go programs
// have, and prints them as JSON: one object a series.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

type series struct {
	Name   string            `json:"name"`
	Kind   string            `json:"kind"`
	Labels map[string]string `json:"labels"`
	// Of a histogram its count, with the sum beside it.
	Value float64 `json:"value"`
	Sum   float64 `json:"sum"`
}

func main() {
	model.NameValidationScheme = model.LegacyValidation
	var parser expfmt.TextParser
	families, err := parser.TextToMetricFamilies(os.Stdin)
	if err == nil {
		err = check(families)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	all := []series{}
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			all = append(all, toSeries(name, family, metric))
		}
	}
	sort.Slice(all, func(i, j int) bool { return fmt.Sprint(all[i]) < fmt.Sprint(all[j]) })
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// What the parser lets pass and Prometheus does not: names, series that are there twice, histograms that do not add up.
func check(families map[string]*dto.MetricFamily) error {
	for name, family := range families {
		if !model.IsValidLegacyMetricName(name) {
			return fmt.Errorf("the name %q", name)
		}
		if family.GetHelp() == "" {
			return fmt.Errorf("%s has no help", name)
		}
		seen := map[string]bool{}
		for _, metric := range family.GetMetric() {
			labels := fmt.Sprint(toSeries(name, family, metric).Labels)
			if seen[labels] {
				return fmt.Errorf("%s%s is there twice", name, labels)
			}
			seen[labels] = true
			for _, label := range metric.GetLabel() {
				if !model.LabelName(label.GetName()).IsValid() {
					return fmt.Errorf("%s has the label %q", name, label.GetName())
				}
			}
			if histogram := metric.GetHistogram(); histogram != nil {
				var last uint64
				for _, bucket := range histogram.GetBucket() {
					if bucket.GetCumulativeCount() < last {
						return fmt.Errorf("%s%s has buckets that shrink", name, labels)
					}
					last = bucket.GetCumulativeCount()
				}
				if last != histogram.GetSampleCount() {
					return fmt.Errorf("%s%s has %d samples, and %d in its buckets", name, labels, histogram.GetSampleCount(), last)
				}
			}
		}
	}
	return nil
}

func toSeries(name string, family *dto.MetricFamily, metric *dto.Metric) series {
	labels := map[string]string{}
	for _, label := range metric.GetLabel() {
		labels[label.GetName()] = label.GetValue()
	}
	one := series{Name: name, Kind: family.GetType().String(), Labels: labels}
	switch {
	case metric.GetCounter() != nil:
		one.Value = metric.GetCounter().GetValue()
	case metric.GetGauge() != nil:
		one.Value = metric.GetGauge().GetValue()
	case metric.GetHistogram() != nil:
		one.Value = float64(metric.GetHistogram().GetSampleCount())
		one.Sum = metric.GetHistogram().GetSampleSum()
	}
	return one
}
