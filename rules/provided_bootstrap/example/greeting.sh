hello() {
  echo "{\"heard\": $1}"
}
