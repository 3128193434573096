package generatorprom_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/generator/generatorprom"
	"github.com/easyflake/easyflake/layout"
)

func Example() {
	// A clock that prints the same each time; programs leave WithClock away.
	clock := clocktest.New(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	clock.Run(time.Microsecond)

	l := layout.Default()
	g, err := generator.NewMutex(l, generator.Static(1), generator.WithClock(clock))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()

	c := generatorprom.New(prometheus.Labels{"service": "shop"})
	if err := c.Add("orders", g, generatorprom.WithLayout(l)); err != nil {
		fmt.Println(err)
		return
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(c) // and serve it with promhttp.HandlerFor

	for range 3 {
		if _, err := g.Next(); err != nil {
			fmt.Println(err)
			return
		}
	}

	families, err := registry.Gather()
	if err != nil {
		fmt.Println(err)
		return
	}
	var text strings.Builder
	for _, f := range families {
		if f.GetName() != "easyflake_generator_ids_total" {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Print(text.String())
	// Output:
	// # HELP easyflake_generator_ids_total IDs returned.
	// # TYPE easyflake_generator_ids_total counter
	// easyflake_generator_ids_total{generator="orders",service="shop"} 3
}
