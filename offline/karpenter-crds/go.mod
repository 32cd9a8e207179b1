module xsched-triton/offline/karpenter-crds

go 1.26.0

require sigs.k8s.io/karpenter v1.14.0
