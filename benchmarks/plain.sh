# The baseline of `task.py`: the plain git commands that the job needs. plain.sh REPOSITORY TASKS SCRATCH work|land
set -eu
repo=$1 tasks=$2 scratch=$3
durable='-c core.fsync=loose-object,reference'
empty=4b825dc642cb6eb9a060e54bf8d69288fbee4904
mkdir -p "$scratch"

# record MESSAGE [PARENT...]: a commit on the empty tree, as claims and pulls are kept
record() {
  message=$1
  shift
  parents=
  for parent in "$@"; do parents="$parents -p $parent"; done
  git --git-dir="$repo" $durable commit-tree $parents -m "$message" $empty
}

update() { git --git-dir="$repo" $durable update-ref "$@"; }

work() {
  number=0
  for file in "$tasks"/*.md; do
    task=$(basename "$file" .md)
    number=$((number + 1))
    claim=$(record "held $task $number $$")
    update "refs/refinery/claims/$task" "$claim" 0000000000000000000000000000000000000000
    sed -i 's/^status: .*/status: in_progress/' "$file"
    tree=$scratch/$task
    git clone --quiet --shared --no-checkout --no-tags "$repo" "$tree"
    git -C "$tree" checkout --quiet -b "polecat/$task" origin/main
    (cd "$tree" && REFINERY_TASK=$task sh -c 'echo "$REFINERY_TASK" > "work-$REFINERY_TASK.txt"')
    git -C "$tree" add --all
    git -C "$tree" commit --quiet --message "Write $task"
    head=$(git -C "$tree" rev-parse HEAD)
    next=$(record "pushed $task $head" "$claim")
    git -C "$tree" $durable push --quiet --atomic origin \
      "$head:refs/heads/polecat/$task" "$next:refs/refinery/claims/$task"
    pull=$(record "pull $number open $task" "$head")
    update "refs/refinery/pulls/$number" "$pull" 0000000000000000000000000000000000000000
    sed -i 's/^status: .*/status: review/' "$file"
    released=$(record "released $task pull $number" "$next")
    update "refs/refinery/claims/$task" "$released" "$next"
    rm -rf "$tree"
  done
}

land() {
  git --git-dir="$repo" for-each-ref --sort=refname --format='%(refname) %(objectname)' refs/heads/polecat |
    while read -r ref head; do
      task=${ref#refs/heads/polecat/}
      base=$(git --git-dir="$repo" rev-parse refs/heads/main)
      tree=$(git --git-dir="$repo" merge-tree --write-tree "$base" "$head")
      commit=$(git --git-dir="$repo" $durable commit-tree -p "$base" -m "Land $task" "$tree")
      check=$scratch/check-$task
      mkdir "$check"
      GIT_INDEX_FILE=$check/.index git --git-dir="$repo" --work-tree="$check" read-tree -u --reset "$tree"
      (cd "$check" && sh -c true)
      update refs/heads/main "$commit" "$base"
      sed -i 's/^status: .*/status: done/' "$tasks/$task.md"
      rm -rf "$check"
    done
}

"$4"
