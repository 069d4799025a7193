// operator-config prints the Prometheus configuration that the prometheus-operator generates for
// monitors. It calls the operator's own code, so that its relabelling is not duplicated here.
//
//	operator-config MONITOR.json ...
//
// Prometheus selects every monitor and has defaults for everything else.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus-operator/prometheus-operator/pkg/assets"
	"github.com/prometheus-operator/prometheus-operator/pkg/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func read(path string, pods map[string]*monitoringv1.PodMonitor, services map[string]*monitoringv1.ServiceMonitor) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var kind metav1.TypeMeta
	if err := json.Unmarshal(text, &kind); err != nil {
		return err
	}
	switch kind.Kind {
	case "PodMonitor":
		monitor := &monitoringv1.PodMonitor{}
		if err := json.Unmarshal(text, monitor); err != nil {
			return err
		}
		pods[monitor.Namespace+"/"+monitor.Name] = monitor
	case "ServiceMonitor":
		monitor := &monitoringv1.ServiceMonitor{}
		if err := json.Unmarshal(text, monitor); err != nil {
			return err
		}
		services[monitor.Namespace+"/"+monitor.Name] = monitor
	default:
		return fmt.Errorf("%s: a %q is no monitor", path, kind.Kind)
	}
	return nil
}

func main() {
	pods := map[string]*monitoringv1.PodMonitor{}
	services := map[string]*monitoringv1.ServiceMonitor{}
	for _, path := range os.Args[1:] {
		if err := read(path, pods, services); err != nil {
			log.Fatal(err)
		}
	}
	server := &monitoringv1.Prometheus{
		ObjectMeta: metav1.ObjectMeta{Name: "k8s", Namespace: "monitoring"},
		Spec: monitoringv1.PrometheusSpec{
			CommonPrometheusFields: monitoringv1.CommonPrometheusFields{ScrapeInterval: "30s", Version: "v3.5.0"},
			EvaluationInterval:     "30s",
		},
	}
	generator, err := prometheus.NewConfigGenerator(nil, server)
	if err != nil {
		log.Fatal(err)
	}
	client := fake.NewSimpleClientset()
	store := assets.NewStoreBuilder(client.CoreV1(), client.CoreV1())
	text, err := generator.GenerateServerConfiguration(server, services, pods, nil, nil, store, nil, nil, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
}
