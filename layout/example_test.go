package layout_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/easyflake/easyflake/layout"
)

func ExampleDefault() {
	l := layout.Default()
	fmt.Println(l)
	fmt.Printf("%d nodes, %.0f IDs a second each, until %d\n", l.MaxNode()+1, l.Rate(), l.End().Year())
	// Output:
	// epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8
	// 256 nodes, 256000 IDs a second each, until 6482
}

func ExampleNew() {
	c := layout.DefaultConfig()
	c.Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c.NodeBits = 10
	l, err := layout.New(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l)

	c.NodeBits = 60
	_, err = layout.New(c)
	fmt.Println(err)
	// Output:
	// epoch=2026-01-01T00:00:00Z,unit=1ms,time=45,node=10,sequence=8
	// layout: sequence bits 8: with 60 node bits nothing is left for the time: together they may take 62 of the 63 bits
}

func ExampleParse() {
	for _, text := range []string{"sonyflake", "unit=10ms,node=4", "node=4,sequnce=12"} {
		l, err := layout.Parse(text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(l)
	}
	// Output:
	// epoch=2014-09-01T00:00:00Z,unit=10ms,time=39,sequence=8,node=16
	// epoch=2023-02-08T12:24:00Z,unit=10ms,time=51,node=4,sequence=8
	// layout: layout key "sequnce": is unknown; the nearest is "sequence"
}

func ExampleByName() {
	discord, err := layout.ByName("discord")
	if err != nil {
		fmt.Println(err)
		return
	}
	parts, err := discord.Decompose(175928847299117063)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(parts.Time.Format(time.RFC3339Nano), parts.Node, parts.Sequence)

	_, err = layout.ByName("dicsord")
	fmt.Println(err)
	// Output:
	// 2016-04-30T11:18:25.796Z 32 7
	// layout: no preset is named "dicsord"; the nearest is "discord" (easyflake-cli layout list shows all)
}

func ExampleEasyFlake() {
	// The layout of EasyFlake(node_id, node_id_bits=10, sequence_bits=6, time_scale=2) in Python.
	l, err := layout.EasyFlake(10, 6, 1675859040, 2)
	fmt.Println(l, err)
	// Output:
	// epoch=2023-02-08T12:24:00Z,unit=10ms,time=47,node=10,sequence=6 <nil>
}

func ExampleLayout_Compose() {
	l := layout.Default()
	tick, err := l.Tick(time.Date(2026, 11, 23, 15, 6, 17, 0, time.UTC))
	if err != nil {
		fmt.Println(err)
		return
	}
	id, err := l.Compose(tick, 7, 42)
	fmt.Println(id, err)
	// Output:
	// 7837275717633834 <nil>
}

func ExampleLayout_Range() {
	l := layout.Default()
	day := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	lo, hi, err := l.Range(day, day.AddDate(0, 0, 1))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("SELECT … WHERE id >= %d AND id < %d\n", lo, hi)
	// Output:
	// SELECT … WHERE id >= 7833712066560000 AND id < 7839374376960000
}

func ExampleLayout_Check() {
	l, err := layout.ByName("baidu")
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2024, 11, 1, 0, 0, 0, 0, time.UTC)
	err = l.Check(now)
	if life, ok := errors.AsType[*layout.LifeError](err); ok {
		fmt.Println(errors.Is(err, layout.ErrLifeUnderYear), life.Warning(), life.End)
	}
	// Output:
	// true false 2024-11-20 13:24:16 +0000 UTC
}

func ExampleDisjoint() {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	older := layout.Default()
	newer, err := layout.Parse("epoch=2026-01-01T00:00:00Z")
	if err != nil {
		fmt.Println(err)
		return
	}
	err = layout.Disjoint(older, newer, now)
	if overlap, ok := errors.AsType[*layout.OverlapError](err); ok {
		fmt.Println("not before", overlap.SafeFrom)
	}
	// Output:
	// not before 2029-10-15 11:36:00 +0000 UTC
}

func ExampleEncoding() {
	id := layout.ID(7833712066560000)
	for _, e := range layout.Encodings() {
		text, err := e.Encode(id)
		fmt.Println(e, text, err)
	}
	_, err := layout.Base58.Parse("0" + "1111111111")
	fmt.Println(err)
	// Output:
	// decimal 7833712066560000 <nil>
	// hex 001bd4b839000000 <nil>
	// base32 006YMQ0WG0000 <nil>
	// base36 00254thn3z7k0 <nil>
	// base58 124AuLH33PD <nil>
	// base62 00ZsStQHtvU <nil>
	// layout: base58 ID "01111111111": at offset 0: '0' is no base58 digit
}

func ExampleID() {
	type order struct {
		ID   layout.ID  `json:"id"`
		Next *layout.ID `json:"next"`
	}
	b, err := json.Marshal(order{ID: 7833712066560000})
	fmt.Println(string(b), err)

	var o order
	err = json.Unmarshal([]byte(`{"id":7833712066560000,"next":"7833712066560001"}`), &o)
	fmt.Println(o.ID, *o.Next, err)
	// Output:
	// {"id":"7833712066560000","next":null} <nil>
	// 7833712066560000 7833712066560001 <nil>
}
