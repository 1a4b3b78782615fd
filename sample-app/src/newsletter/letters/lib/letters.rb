module Letters
  def self.newsletter(name:, offers:)
    "Dear #{name}, #{offers} new offers wait for you."
  end
end
