"""Replays against moto what the stacks create on AWS, and looks their policies up in AWS's reference of actions."""
