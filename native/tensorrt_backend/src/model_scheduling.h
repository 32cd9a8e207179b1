// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <cstdint>
#include <string>

#include "xsched/types.h"

namespace triton { namespace backend {

// How a model says that it is to be scheduled, and how its XQueues are
// called. None of this needs Triton's types, so that it is the same for
// a backend that creates XQueues and for the hooks that do it for any
// backend. Problems are sentences for a person; empty means none.

// The parameter in the model configuration that sets the priority of
// the model's XQueues.
constexpr char kXSchedPriorityParameter[] = "xsched_priority";

// Parse the parameter's value: an integer, larger is more urgent, or
// 'max', 'default' or 'min'. On a problem, 'priority' is unchanged.
std::string ParsePriority(const std::string& value, ::Priority* priority);

// The parameter that sets the floor of the model, and its value: the
// percentage of a device's time that the model gets at least while it has
// work, an integer from 0, none, to 50. On a problem, 'percent' is
// unchanged.
constexpr char kXSchedFloorParameter[] = "xsched_floor";
std::string ParseFloor(const std::string& value, int32_t* percent);

// The parameter that sets the weight of the model, and its value: models of
// one priority that have a weight share a device's time in the ratio of
// their weights; an integer from 0, none, to 100. On a problem, 'weight' is
// unchanged.
constexpr char kXSchedWeightParameter[] = "xsched_weight";
std::string ParseWeight(const std::string& value, int32_t* weight);

// How a model is scheduled, for the log: 'priority 40', with its floor and
// its weight if it has any.
std::string SchedulingWords(
    const ::Priority priority, const int32_t floor, const int32_t weight);

// The environment variable that says what happens to a model that
// can't be scheduled: ON, it is not loaded; OFF, it runs unscheduled.
constexpr char kXSchedRequiredVariable[] = "XSCHED_REQUIRED";
std::string ReadXSchedRequired(bool* required);

// What keeps XSched from seeing this process's launches. Without its
// shim, XQueues could be created, but nothing would hold a launch back.
std::string ShimProblem();

// The name of an instance's XQueues, '<model>/<instance>'. If it is
// longer than XSched allows, the start of the instance's name is cut,
// which usually repeats the model's, and only then the end of the
// model's name.
std::string XQueueName(
    const std::string& model_name, const std::string& instance_name);

}}  // namespace triton::backend
