"""Stories of what Signalbox does about the world, played against real servers, with plots and checks that can fail."""
