#include <algorithm>
#include <array>

#include "methods/joint/joint_solver.h"

namespace scant {

std::span<const JointSolver> all_joint_solvers() {
  static const std::array kSolvers = {
      gain_mask_solver(),          one_pass_solver(), one_pass_dense_scales_solver(),
      one_pass_act_order_solver(), obr_solver(),      scant_solver()};
  return kSolvers;
}

const JointSolver* find_joint_solver(std::string_view name) {
  const auto all = all_joint_solvers();
  const auto found = std::ranges::find(all, name, &JointSolver::name);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace scant
