package filestore

import (
	"context"
	"errors"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// Pool opens the pool of a file for IDs of a layout, and creates the file and the
// namespace where they are missing. The namespace is called what the layout is,
// [layout.Layout.String]: whoever opens the file with the same layout shares it. A
// store that is doubtful is settled: no window begins before those that may have
// been lost are over.
func Pool(ctx context.Context, path string, l layout.Layout, opts ...Option) (*pool.Local, error) {
	s, err := open(ctx, path, append([]Option{WithCreate()}, opts...))
	if err != nil {
		return nil, err
	}
	p := pool.New(s)
	if err := prepare(ctx, s, p, l); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func prepare(ctx context.Context, s *Store, p *pool.Local, l layout.Layout) error {
	r, err := s.Namespace(ctx, l.String())
	if err != nil {
		return err
	}
	if r.Revision == 0 {
		err := p.CreateNamespace(ctx, pool.NewNamespace(l.String(), l))
		if err != nil && !errors.Is(err, pool.ErrExists) { // by another process, meanwhile
			return err
		}
	}
	return s.Settle(ctx, p)
}

// EasyFlake opens the pool that EasyFlake for Python's FileNodeIdPool(endpoint,
// bits) stands for, and returns it with the layout that its IDs have:
//
//	Go        Python
//	endpoint  endpoint, the path of the file
//	bits      bits, the node bits; the rest is EasyFlake's default layout
//
// The file is not Python's: it has another form, and windows in place of expiry
// times. Do not give both the same path: each refuses, or ruins, the other's file.
func EasyFlake(ctx context.Context, endpoint string, bits int, opts ...Option) (*pool.Local, layout.Layout, error) {
	c := layout.DefaultConfig()
	c.NodeBits = bits
	l, err := layout.New(c)
	if err != nil {
		return nil, layout.Layout{}, err
	}
	p, err := Pool(ctx, endpoint, l, opts...)
	return p, l, err
}
