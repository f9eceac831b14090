/* Built-in problems: the cases of Osher & Shu (1991) and Jiang & Peng (2000), fronts, and a viscous one. */
#include "hj.h"

static const char *const burgers1d[] = {"grid_cells", "160", "grid_lower", "-1", "grid_upper", "1", "grid_boundary", "periodic",
  "hj_hamiltonian", "burgers", "hj_initial", "-cos(pi*x)", "hj_exact", "hopf_lax", "time_end", "1.5/pi^2", NULL};

static const char *const nonconvex1d[] = {"grid_cells", "160", "grid_lower", "-1", "grid_upper", "1", "grid_boundary", "periodic",
  "hj_hamiltonian", "cosine", "hj_initial", "-cos(pi*x)", "time_end", "1.5/pi^2", NULL};

static const char *const burgers2d[] = {"grid_cells", "80,80", "grid_lower", "-2", "grid_upper", "2", "grid_boundary", "periodic",
  "hj_hamiltonian", "burgers", "hj_initial", "-cos(pi*(x+y)/2)", "hj_exact", "hopf_lax", "time_end", "1.5/pi^2", NULL};

static const char *const burgers3d[] = {"grid_cells", "48,48,48", "grid_lower", "-3", "grid_upper", "3", "grid_boundary",
  "periodic", "hj_hamiltonian", "burgers", "hj_initial", "-cos(pi*(x+y+z)/3)", "hj_exact", "hopf_lax", "time_end", "1.5/pi^2",
  NULL};

static const char *const riemann2d[] = {"grid_cells", "80,80", "grid_lower", "-1", "grid_upper", "1", "grid_boundary", "outflow",
  "hj_hamiltonian", "riemann2d", "hj_initial", "pi*(abs(y)-abs(x))", "time_end", "1", NULL};

static const char *const control2d[] = {"grid_cells", "80,80", "grid_lower", "-pi", "grid_upper", "pi", "grid_boundary",
  "periodic", "hj_hamiltonian", "control", "hj_initial", "0", "time_end", "1", NULL};

/* Two discs (balls) that grow and merge: phi(x,t) = min of phi0 over the ball of radius t (Hopf-Lax). */
static const char *const eikonal2d[] = {"grid_cells", "120,100", "grid_lower", "-1.2,-1", "grid_upper", "1.2,1", "grid_boundary",
  "outflow", "hj_hamiltonian", "eikonal", "hj_initial", "min(hypot(x+0.5,y+0.1)-0.2, hypot(x-0.45,y-0.15)-0.3)", "hj_exact",
  "min(max(hypot(x+0.5,y+0.1)-t,0)-0.2, max(hypot(x-0.45,y-0.15)-t,0)-0.3)", "time_end", "0.4", NULL};

static const char *const eikonal3d[] = {"grid_cells", "60,50,50", "grid_lower", "-1.2,-1,-1", "grid_upper", "1.2,1,1",
  "grid_boundary", "outflow", "hj_hamiltonian", "eikonal", "hj_initial",
  "min(sqrt((x+0.5)^2+(y+0.1)^2+z^2)-0.2, sqrt((x-0.45)^2+(y-0.15)^2+(z+0.1)^2)-0.3)", "hj_exact",
  "min(max(sqrt((x+0.5)^2+(y+0.1)^2+z^2)-t,0)-0.2, max(sqrt((x-0.45)^2+(y-0.15)^2+(z+0.1)^2)-t,0)-0.3)", "time_end", "0.4", NULL};

/* Cole-Hopf: phi = -2 nu log w with w_t = nu Lap w solves phi_t + |grad phi|^2/2 = nu Lap phi. */
static const char *const viscous2d[] = {"grid_cells", "48,40", "grid_lower", "0", "grid_upper", "2*pi", "grid_boundary",
  "periodic", "hj_hamiltonian", "quadratic", "hj_viscosity", "0.2", "hj_initial", "-0.4*log(3 + cos(x-y) + sin(2*y+x))",
  "hj_exact", "-0.4*log(3 + exp(-0.4*t)*cos(x-y) + exp(-t)*sin(2*y+x))", "time_end", "0.5", NULL};

const HcProblem HjProblems[] = {
  {"burgers1d", "H = (phi_x + 1)^2/2 from a cosine, kinked at the end (Osher & Shu 1991)", burgers1d},
  {"nonconvex1d", "H = -cos(phi_x + 1) from a cosine: shock and fan side by side", nonconvex1d},
  {"burgers2d", "H = (phi_x + phi_y + 1)^2/2 from a plane wave", burgers2d},
  {"burgers3d", "H = (phi_x + phi_y + phi_z + 1)^2/2 from a plane wave", burgers3d},
  {"riemann2d", "Riemann problem of H = sin(phi_x + phi_y), neither convex nor concave", riemann2d},
  {"control2d", "value of an optimal control problem", control2d},
  {"eikonal2d", "two discs that grow at speed 1 and merge", eikonal2d},
  {"eikonal3d", "two balls that grow at speed 1 and merge", eikonal3d},
  {"viscous2d", "H = |grad phi|^2/2 with viscosity, exact by Cole-Hopf", viscous2d},
  {.name = NULL},
};
