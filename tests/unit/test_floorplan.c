/* parallel: floor plans: regions, faces, walls that do not leak on any grid, rooms without a way out */
#include "picture_file.h"
#include <halocline/io.h>

static char dir[256];
static int rank, size;

static const HcOption table[] = {
  {"plan", HC_OPT_FILE, "", "", "", "a plan"},
  {"wall", HC_OPT_FIELD, "", "", "x,y,z,t", "positive inside walls"},
  {"none", HC_OPT_TEXT, "", "", "", "nothing"},
  {NULL, HC_OPT_TEXT, NULL, NULL, NULL, NULL},
};

static PetscErrorCode make_grid(PetscInt dim, PetscInt nx, PetscInt ny, HcBoundary b, HcGrid *grid) {
  HcGridSpec spec = {.dim = dim, .cells = {nx, ny, 6}, .lower = {-1, 0, 0}, .upper = {1, 3, 2}, .min_block = 1};
  for (int f = 0; f < 6; ++f) spec.boundary[f] = b;
  return HcGridCreate(PETSC_COMM_WORLD, &spec, grid);
}

static PetscErrorCode make_plan(HcGrid g, const char *yaml, HcFloorPlan *plan, PetscBool check) {
  HcOptions opts;
  PetscFunctionBeginUser;
  *plan = NULL;
  PetscCall(make_options(yaml, table, &opts));
  PetscErrorCode code = HcFloorPlanCreate(opts, "plan", "wall", g, plan);
  if (!code && check) code = HcFloorPlanCheckReachable(*plan, opts, "plan");
  PetscCall(HcOptionsDestroy(&opts));
  PetscFunctionReturn(code);
}

/* ---- drawing: one letter a pixel, the top row first: # wall, . free, E exit, g light grey, d dark grey, r red, t transparent
 * ---- */

static void draw(const char *name, int width, int height, const char *pixels, char yaml[512]) {
  unsigned char *rgba = malloc((size_t)(4 * width * height));
  char path[300];
  for (int p = 0; p < width * height; ++p) {
    unsigned char *c = rgba + 4 * p;
    c[0] = c[1] = c[2] = c[3] = 255;
    switch (pixels[p]) {
    case '#':
      c[0] = c[1] = c[2] = 0;
      break;
    case 'E':
      c[0] = c[2] = 0;
      break;
    case 'g':
      c[0] = c[1] = c[2] = 140;
      break;
    case 'd':
      c[0] = c[1] = c[2] = 110;
      break;
    case 'r':
      c[1] = c[2] = 0;
      break;
    case 't':
      c[0] = c[1] = c[2] = c[3] = 0;
      break;
    }
  }
  snprintf(path, sizeof path, "%s/%s.png", dir, name);
  write_png(path, width, height, rgba);
  snprintf(yaml, 512, "plan: %s\n", path);
  free(rgba);
}

static double at(HcField f, int c, PetscInt i, PetscInt j, PetscInt k) {
  return f->c[c][i + j * f->stride[1] + k * f->stride[2]];
}

/* ---- regions and faces of a plan of one pixel a cell ---- */

static PetscErrorCode test_regions(void) {
  static const char pixels[] = "##########"
                               "#....#..E#"
                               "#.gd.#..E#"
                               "#........#"
                               "#tt..#...#"
                               "##########";
  char yaml[512];
  PetscFunctionBeginUser;
  draw("regions", 10, 6, pixels, yaml);
  for (PetscInt dim = 2; dim <= 3; ++dim) {
    HcGrid g;
    HcFloorPlan plan;
    int regions = 1, faces = 1;
    PetscCall(make_grid(dim, 10, 6, HC_REFLECTING, &g));
    PetscCall(make_plan(g, yaml, &plan, PETSC_TRUE));
    for (PetscInt k = 0; k < g->n[2]; ++k)
      for (PetscInt j = -1; j <= g->n[1]; ++j)
        for (PetscInt i = -1; i <= g->n[0]; ++i) {
          const PetscInt x = g->start[0] + i, y = g->start[1] + j;
          const char p = x < 0 || y < 0 || x > 9 || y > 5 ? '#' : pixels[10 * (5 - y) + x];
          const double want = p == '#' || p == 'd' ? HC_WALL : p == 'E' ? HC_DOOR : HC_FREE;
          regions = regions && at(plan->region, 0, i, j, k) == want;
        }
    for (int d = 0; d < dim; ++d)
      for (PetscInt k = 0; k < g->n[2] + (d == 2); ++k)
        for (PetscInt j = 0; j < g->n[1] + (d == 1); ++j)
          for (PetscInt i = 0; i < g->n[0] + (d == 0); ++i) {
            const double a = at(plan->region, 0, i, j, k), b = at(plan->region, 0, i - (d == 0), j - (d == 1), k - (d == 2));
            double want = a == HC_WALL || b == HC_WALL ? 0 : a != b ? 2 : a == HC_DOOR ? 0 : 1;
            const PetscInt q[3] = {g->start[0] + i, g->start[1] + j, g->start[2] + k};
            if (q[d] == 0 || q[d] == g->cells[d]) want = 0;
            faces = faces && at(plan->open, d, i, j, k) == want;
          }
    tap_ok(regions, "%dD: regions, with greys and transparency, ghosts included", (int)dim);
    tap_ok(faces, "%dD: faces", (int)dim);
    const PetscInt floors = dim == 3 ? 6 : 1;
    tap_ok(plan->exits == 2 * floors && plan->walls == 32 * floors, "%dD: %d exits, %d walls", (int)dim, (int)plan->exits,
      (int)plan->walls);
    PetscCall(HcFloorPlanDestroy(&plan));
    PetscCall(HcGridDestroy(&g));
  }
  PetscFunctionReturn(0);
}

/* ---- leaks ---- */

static unsigned long long state = 88172645463325252ull;

static int random_below(int n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (int)((state >> 16) % (unsigned long long)n);
}

/* A thin line of pixels that touch at least at corners. */
static void line(char *pixels, int width, int x0, int y0, int x1, int y1) {
  const int dx = abs(x1 - x0), dy = abs(y1 - y0), n = dx > dy ? dx : dy;
  for (int s = 0; s <= n; ++s) {
    const double w = n ? (double)s / n : 0;
    pixels[width * (int)lround(y0 + w * (y1 - y0)) + (int)lround(x0 + w * (x1 - x0))] = '#';
  }
}

/* Is a pixel's centre inside the polygon (even-odd)? */
static int inside(int n, const int x[], const int y[], double px, double py) {
  int in = 0;
  for (int a = 0, b = n - 1; a < n; b = a++)
    if ((y[a] > py) != (y[b] > py) && px < (double)(x[b] - x[a]) * (py - y[a]) / (double)(y[b] - y[a]) + x[a]) in = !in;
  return in;
}

/* A closed polygon drawn one pixel thin, with the exit around it: whoever stands in a cell well inside must not get out, at any
 * resolution. So the check must find that cells are lost, unless the grid has none whose centre is inside. */
static PetscErrorCode test_leaks(void) {
  enum { SIDE = 64, TRIES = 60 };
  char pixels[SIDE * SIDE], yaml[512];
  int lost = 0, enclosed = 0, leaks = 0;
  PetscFunctionBeginUser;
  for (int t = 0; t < TRIES; ++t) {
    int n = 3 + random_below(5), x[8], y[8];
    memset(pixels, '.', sizeof pixels);
    for (int p = 0; p < SIDE; ++p)
      pixels[p] = pixels[SIDE * (SIDE - 1) + p] = pixels[SIDE * p] = pixels[SIDE * p + SIDE - 1] = 'E';
    for (int p = 0; p < n; ++p) {
      x[p] = 3 + random_below(SIDE - 6);
      y[p] = 3 + random_below(SIDE - 6);
    }
    for (int p = 0; p < n; ++p) line(pixels, SIDE, x[p], y[p], x[(p + 1) % n], y[(p + 1) % n]);
    /* what is enclosed, found on the pixels: free ones that no four-connected way joins to the border */
    static char seen[SIDE * SIDE];
    static int stack[SIDE * SIDE];
    int height = 1;
    memset(seen, 0, sizeof seen);
    seen[SIDE + 1] = 1;
    stack[0] = SIDE + 1;
    while (height) {
      const int p = stack[--height], next[4] = {p - 1, p + 1, p - SIDE, p + SIDE};
      for (int q = 0; q < 4; ++q)
        if (!seen[next[q]] && pixels[next[q]] == '.') seen[next[q]] = 1, stack[height++] = next[q];
    }
    const PetscInt nx = 8 + random_below(120), ny = 8 + random_below(120);
    long long centres = 0;
    for (PetscInt j = 0; j < ny; ++j)
      for (PetscInt i = 0; i < nx; ++i) {
        const double px = ((double)i + 0.5) * SIDE / (double)nx, py = ((double)j + 0.5) * SIDE / (double)ny;
        const int p = SIDE * (SIDE - 1 - (int)py) + (int)px;
        centres += pixels[p] == '.' && !seen[p] && inside(n, x, y, (int)px, SIDE - 1 - (int)py);
      }
    HcGrid g;
    HcFloorPlan plan;
    draw("leak", SIDE, SIDE, pixels, yaml);
    PetscCall(make_grid(2, nx, ny, HC_REFLECTING, &g));
    PetscErrorCode code = make_plan(g, yaml, &plan, PETSC_TRUE);
    const int refused = HcErrorKind(code) == HC_EXIT_INPUT && strstr(HcErrorMessage(), "no way out");
    HcErrorClear();
    enclosed += centres > 0;
    lost += refused;
    if (plan && centres > 0 && !refused) {
      /* only if all of the enclosed centres became walls is silence right */
      long long still = 0;
      for (PetscInt j = 0; j < g->n[1]; ++j)
        for (PetscInt i = 0; i < g->n[0]; ++i) {
          const double px = ((double)(g->start[0] + i) + 0.5) * SIDE / (double)nx,
                       py = ((double)(g->start[1] + j) + 0.5) * SIDE / (double)ny;
          const int p = SIDE * (SIDE - 1 - (int)py) + (int)px;
          still += pixels[p] == '.' && !seen[p] && inside(n, x, y, (int)px, SIDE - 1 - (int)py) &&
                   at(plan->region, 0, i, j, 0) == HC_FREE;
        }
      leaks += still > 0;
    }
    PetscCall(HcFloorPlanDestroy(&plan));
    PetscCall(HcGridDestroy(&g));
  }
  tap_ok(enclosed > TRIES / 2 && lost >= enclosed / 2 && leaks == 0, "%d thin closed walls on random grids hold (%d of %d found)",
    TRIES, lost, enclosed);
  PetscFunctionReturn(0);
}

/* ---- obstacles by formula ---- */

static PetscErrorCode test_formula(void) {
  PetscFunctionBeginUser;
  for (PetscInt dim = 1; dim <= 3; ++dim) {
    HcGrid g;
    HcFloorPlan plan;
    /* a sheet a third of a cell thick between two centres: no cell is wall, all faces across it are closed */
    const double h = 2.0 / 12, thick = h / 6;
    char yaml[512];
    int good = 1;
    snprintf(yaml, sizeof yaml, "wall: \"%.17g - abs(x - %.17g)\"\n", thick, 2 * h);
    PetscCall(make_grid(dim, 12, 6, HC_EXIT, &g));
    PetscCall(make_plan(g, yaml, &plan, PETSC_TRUE));
    for (PetscInt k = 0; k < g->n[2]; ++k)
      for (PetscInt j = 0; j < g->n[1]; ++j)
        for (PetscInt i = 0; i <= g->n[0]; ++i) {
          const PetscInt x = g->start[0] + i;
          good = good && at(plan->open, 0, i, j, k) == (x == 8 ? 0 : x == 0 || x == 12 ? 2 : 1);
        }
    tap_ok(good && plan->walls == 0, "%dD: a sheet thinner than a cell closes the faces it lies in; exit faces are 2", (int)dim);
    PetscCall(HcFloorPlanDestroy(&plan));
    PetscCall(HcGridDestroy(&g));
  }
  PetscFunctionReturn(0);
}

/* A sheet at a periodic border is seen from both sides, alike. */
static PetscErrorCode test_periodic(void) {
  HcGrid g;
  HcFloorPlan plan;
  int good = 1;
  PetscFunctionBeginUser;
  PetscCall(make_grid(2, 12, 6, HC_PERIODIC, &g));
  PetscCall(make_plan(g, "wall: \"abs(x) - 0.97\"\n", &plan, PETSC_TRUE));
  for (PetscInt j = 0; j < g->n[1]; ++j)
    for (PetscInt i = 0; i <= g->n[0]; ++i) good = good && at(plan->open, 0, i, j, 0) == ((g->start[0] + i) % 12 == 0 ? 0 : 1);
  tap_ok(good, "a sheet at a periodic border");
  PetscCall(HcFloorPlanDestroy(&plan));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* ---- mistakes ---- */

static PetscErrorCode test_mistakes(void) {
  static const char lost[] = "########"
                             "#..#..E#"
                             "#..#...#"
                             "####...#"
                             "#......#"
                             "########";
  static const char spiral[] = "#########"
                               "#.......#"
                               "#.#####.#"
                               "#.#...#.#"
                               "#.#.#.#.#"
                               "#.#.#.#.#"
                               "#.#.###.#"
                               "#E#.....#"
                               "#########";
  char yaml[512], other[512];
  HcGrid g;
  HcFloorPlan plan;
  PetscFunctionBeginUser;
  PetscCall(make_grid(2, 8, 6, HC_REFLECTING, &g));
  draw("lost", 8, 6, lost, yaml);
  tap_ok(fails(make_plan(g, yaml, &plan, PETSC_TRUE), HC_EXIT_INPUT, "4 free cells, the first at (-0.625, 1.75)", "plan = "),
    "a room without a door is named by its place");
  PetscCall(HcFloorPlanDestroy(&plan));
  draw("red", 8, 1, "....r...", yaml);
  tap_ok(fails(make_plan(g, yaml, &plan, PETSC_TRUE), HC_EXIT_INPUT, "pixel 5 from the left, 1 from the top", "#ff0000"),
    "a red pixel");
  draw("black", 8, 1, "########", yaml);
  tap_ok(fails(make_plan(g, yaml, &plan, PETSC_TRUE), HC_EXIT_INPUT, "no free cell", "plan = "), "no free cell");
  tap_ok(fails(make_plan(g, "wall: \"t - x\"\n", &plan, PETSC_TRUE), HC_EXIT_INPUT, "walls cannot move", "wall = "),
    "a wall that moves");
  tap_ok(fails(make_plan(g, "wall: \"1\"\n", &plan, PETSC_TRUE), HC_EXIT_INPUT, "no free cell", "wall = "), "wall everywhere");
  snprintf(other, sizeof other, "wall: %s/red.png\n", dir);
  tap_ok(fails(make_plan(g, other, &plan, PETSC_TRUE), HC_EXIT_INPUT, "floor_plan", "wall = "), "a picture as obstacle");
  tap_ok(fails(make_plan(g, "plan: /absent/plan.png\n", &plan, PETSC_TRUE), HC_EXIT_INPUT, "/absent/plan.png", "No such file"),
    "no such plan");
  /* 32 pixels a side with an exit one pixel wide: less than half of each of the 8 x 6 cells */
  char big[32 * 32];
  memset(big, '.', sizeof big);
  for (int y = 0; y < 32; ++y) big[32 * y + 31] = 'E';
  draw("thin", 32, 32, big, yaml);
  tap_ok(
    fails(make_plan(g, yaml, &plan, PETSC_TRUE), HC_EXIT_INPUT, "32 green pixels", "too thin"), "an exit too thin for the grid");
  PetscCall(HcGridDestroy(&g));

  PetscCall(make_grid(1, 8, 1, HC_REFLECTING, &g));
  tap_ok(fails(make_plan(g, yaml, &plan, PETSC_TRUE), HC_EXIT_INPUT, "2 or 3 dimensions", "plan = "), "a plan in 1D");
  PetscCall(HcGridDestroy(&g));

  /* the way out crosses every border between blocks, some of them several times */
  PetscCall(make_grid(2, 9, 9, HC_REFLECTING, &g));
  draw("spiral", 9, 9, spiral, yaml);
  PetscErrorCode code = make_plan(g, yaml, &plan, PETSC_TRUE);
  tap_ok(!code && plan->exits == 1, "a spiral has its way out");
  PetscCall(HcFloorPlanDestroy(&plan));
  PetscInt pixels[2];
  HcOptions opts;
  PetscCall(make_options(yaml, table, &opts));
  PetscCall(HcFloorPlanPixels(PETSC_COMM_WORLD, opts, "plan", pixels));
  tap_ok(pixels[0] == 9 && pixels[1] == 9, "the size in pixels");
  PetscCall(HcOptionsDestroy(&opts));
  PetscCall(make_plan(g, "none: 1\n", &plan, PETSC_TRUE));
  tap_ok(plan->walls == 0 && plan->exits == 0 && at(plan->open, 0, 1, 0, 0) == 1, "without a plan all is free");
  PetscCall(HcFloorPlanDestroy(&plan));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  snprintf(dir, sizeof dir, "/tmp/halocline_plan_XXXXXX");
  if (rank == 0 && !mkdtemp(dir)) abort();
  if (MPI_Bcast(dir, sizeof dir, MPI_CHAR, 0, PETSC_COMM_WORLD)) abort();
  PetscCallAbort(PETSC_COMM_SELF, test_regions());
  PetscCallAbort(PETSC_COMM_SELF, test_leaks());
  PetscCallAbort(PETSC_COMM_SELF, test_formula());
  PetscCallAbort(PETSC_COMM_SELF, test_periodic());
  PetscCallAbort(PETSC_COMM_SELF, test_mistakes());
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  if (rank == 0 && system(command)) return 1;
  return tap_done();
}
