/* Lines of memory that are fetched into the cache while something else is computed. Included by
 * kernels.c. */

#define LINE 64           /* bytes */
#define LINES 64          /* of them that are fetched during a tile, at most */
#define FETCH (1 << 18)   /* bytes that are worth fetching: they must stay in a cache */

/* Where the next lines of memory lie: a number of runs of as many bytes each. */
typedef struct {
    const char *data, *run;
    ptrdiff_t bytes, stride, at;
    const int *columns;
    ptrdiff_t k, n_runs;
} fetcher;

/* The rows of `next`, if it is not NULL. */
INLINE fetcher fetch_from(const fastreg_matrix *next, const int *columns, ptrdiff_t m)
{
    fetcher f = {NULL, NULL, 0, 0, 0, NULL, 0, 0};
    ptrdiff_t size = next == NULL ? 0 : next->narrow ? 4 : 8;
    if (next == NULL || next->n_rows * m * size > FETCH)
        return f;
    if (next->row_stride == 1) {
        f.bytes = next->n_rows * size;
        f.stride = next->column_stride * size;
        f.n_runs = m;
        f.columns = columns;
    } else if (m == next->n_columns) {
        f.bytes = m * size;
        f.stride = next->row_stride * size;
        f.n_runs = next->n_rows;
        if (f.bytes == f.stride) {
            f.bytes *= f.n_runs;
            f.n_runs = 1;
        }
    } else
        return f;
    f.data = next->data;
    f.run = f.data + (f.columns == NULL ? 0 : f.columns[0]) * f.stride;
    return f;
}

/* The addresses of the next lines; those before, where there is none. */
INLINE void fetch_lines(fetcher *f, const char **lines)
{
    for (int k = 0; k < LINES && f->k < f->n_runs;) {
        const char *line = f->run + f->at;
        ptrdiff_t count = (f->bytes - f->at + LINE - 1) / LINE;
        count = count < LINES - k ? count : LINES - k;
        for (ptrdiff_t i = 0; i < count; i++)
            lines[k + i] = line + i * LINE;
        k += (int)count;
        f->at += count * LINE;
        if (f->at >= f->bytes) {
            f->at = 0;
            if (++f->k < f->n_runs)
                f->run = f->data + (f->columns == NULL ? f->k : f->columns[f->k]) * f->stride;
        }
    }
}
