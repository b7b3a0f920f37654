# pgguard as a package of Nix. After a change of go.sum put lib.fakeHash for vendorHash, and then what the build says.
{ lib, buildGoModule, version ? "devel", vendorHash ? lib.fakeHash }:

buildGoModule {
  pname = "pgguard";
  inherit version vendorHash;
  src = lib.cleanSource ../..;
  subPackages = [ "cmd/pgguard" "cmd/pgguard-bench" ];
  env.CGO_ENABLED = 0;
  ldflags = [ "-s" "-w" "-X main.version=${version}" ];
  # The tests start PostgreSQL; the project runs them itself.
  doCheck = false;
  meta = {
    description = "Pooling proxy for PostgreSQL that keeps the database at the load where it does the most work";
    license = lib.licenses.asl20;
    mainProgram = "pgguard";
    platforms = lib.platforms.unix;
  };
}
